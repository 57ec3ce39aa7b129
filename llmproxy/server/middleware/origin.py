"""Host and Origin checks against foreign pages and DNS rebinding."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from aiohttp import HttpVersion10, HttpVersion11, web

from llmproxy.config import Config, Server
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.wire.headers import header_safe

from .proxied import forwarded_host

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")


_DEFAULT_PORTS = {"http": 80, "https": 443}
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
    if not hosts and request.version == HttpVersion10:  # no browser sends such a request
        return
    names = [_named(host) for host in (*hosts[:1], *_forwarded(request, config))]
    if len(hosts) != 1 or None in names:
        raise BadRequest("The Host header is missing or wrong.", code="invalid_host")
    for name in names:
        _check_name(str(name), config.server, has_keys)


def _forwarded(request: web.Request, config: Config) -> tuple[str, ...]:
    """The name that a trusted proxy was asked by, if there is one."""
    host = forwarded_host(request, config.server.trusted_proxies)
    return (host,) if host is not None else ()


def _check_name(name: str, server: Server, has_keys: bool) -> None:
    own = f"[{server.host}]" if ":" in server.host else server.host.lower()
    if name in _LOOPBACK or name == own or name in server.allowed_hosts or "*" in server.allowed_hosts:
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


def check_origin(request: web.Request, config: Config, *, has_keys: bool) -> None:
    """A browser says which page is asking: only our own may, and those that the config names."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site")
    if origin is None:
        if site == "cross-site" and request.method not in ("GET", "HEAD"):
            raise _foreign("another site")
        return
    allowed = config.server.allowed_origins
    if origin in allowed or "*" in allowed or _is_own(request, origin, config, has_keys):
        return
    raise _foreign(origin)


def _is_own(request: web.Request, origin: str, config: Config, has_keys: bool) -> bool:
    """Whether a page of that origin came from us.

    It did if it names the host and port that were asked for. A proxy in front may have changed these: then the browser's
    own word counts, where it is about the same name, or where a key is asked for, which a foreign page does not know.
    """
    name, port = _place(origin)
    scheme = origin.partition(":")[0]
    hosts = [host.lower() for host in (request.headers.get("Host", ""), *_forwarded(request, config))]
    places = [(_named(host), _port(host) or _DEFAULT_PORTS.get(scheme)) for host in hosts]
    if not name:
        return False
    if (name, port or _DEFAULT_PORTS.get(scheme)) in places:
        return True
    same = request.headers.get("Sec-Fetch-Site") == "same-origin"
    return same and (has_keys or any(name == known for known, _ in places))


def _place(origin: str) -> tuple[str, int | None]:
    """Name and port of an origin. Raises BadRequest for what is none."""
    netloc = _netloc(origin).lower()
    return _named(netloc) or "", _port(netloc)


def _port(host: str) -> int | None:
    found = _HOST.fullmatch(host)
    return int(found[2]) if found is not None and found[2] else None


def is_expected(request: web.Request, config: Config, *, has_keys: bool) -> bool:
    """Whether the request passes the checks of names, for those whom an answer in few words is given otherwise."""
    try:
        check_host(request, config, has_keys=has_keys)
        check_origin(request, config, has_keys=has_keys)
    except GatewayError:
        return False
    return True


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
