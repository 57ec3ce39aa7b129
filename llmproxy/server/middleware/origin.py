"""Refuses requests that a foreign page or a foreign name for this machine brought here."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from aiohttp import HttpVersion10, HttpVersion11, web

from llmproxy.config import Config
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.wire.headers import header_safe

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")


_LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))


def check_form(request: web.Request) -> None:
    """HTTP/1 asked of us, not of somebody behind us: this is no proxy."""
    if request.version not in (HttpVersion10, HttpVersion11):
        text = "This gateway speaks HTTP/1.1."
        raise GatewayError(text, status=505, code="invalid_http", headers={"Connection": "close"})
    if not request.raw_path.startswith("/") and _netloc(request.raw_path) != request.headers.get("Host"):
        raise BadRequest("The request's target must be a path.", code="invalid_http", headers={"Connection": "close"})


def check_host(request: web.Request, config: Config, *, has_keys: bool) -> None:
    """A name that is not ours is a page that had its own name point here (DNS rebinding)."""
    hosts = request.headers.getall("Host", [])
    name = _named(hosts[0]) if len(hosts) == 1 else None
    if name is None:
        raise BadRequest("The Host header is missing or wrong.", code="invalid_host")
    server = config.server
    if name in _LOOPBACK or name == server.host or name in server.allowed_hosts or "*" in server.allowed_hosts:
        return
    if has_keys and not server.allowed_hosts:  # a key is asked for: a page that does not know it gains nothing
        return
    raise GatewayError(
        f"This gateway does not answer to the name {name!r}. `[server] allowed_hosts` can name it.",
        status=421,
        code="unknown_host",
    )


@lru_cache(64)
def _named(host: str) -> str | None:
    """The name in a Host header, lower-case; None if it is not one."""
    found = _HOST.fullmatch(host)
    return found[1].lower() if found is not None and int(found[2] or 0) <= 65535 else None


def check_origin(request: web.Request, config: Config) -> None:
    """A browser says which page is asking: only our own may, and those that the config names."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site")
    if origin is None:
        if site == "cross-site" and request.method not in ("GET", "HEAD"):
            raise _foreign("another site")
        return
    allowed = config.server.allowed_origins
    if origin in allowed or "*" in allowed:
        return
    if _netloc(origin).lower() != request.headers.get("Host", "").lower():
        raise _foreign(origin)


def _netloc(url: str) -> str:
    """Host and port of a URL. Raises BadRequest for what is none."""
    try:
        return urlsplit(url).netloc
    except ValueError as error:  # a bracket that is not closed, for example
        raise BadRequest("That is not a URL.", code="invalid_http") from error


def _foreign(origin: str) -> GatewayError:
    return GatewayError(
        f"Pages of {header_safe(origin)} may not use this gateway. `[server] allowed_origins` can name them.",
        status=403,
        code="forbidden_origin",
    )
