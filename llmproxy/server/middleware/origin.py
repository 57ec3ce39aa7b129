"""Host and Origin checks against foreign pages and DNS rebinding."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web
from multidict import istr

from llmproxy.config import Config, Server
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.wire.headers import header_safe

from .proxied import forwarded_host

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")


_SITE = istr("Sec-Fetch-Site")
_VERSIONS = frozenset((HttpVersion10, HttpVersion11))
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))


def check_form(request: web.Request) -> None:
    """Only HTTP/1 requests for this server itself: the gateway is not a forward proxy."""
    if request.version not in _VERSIONS:
        text = "This gateway speaks HTTP/1.1."
        raise GatewayError(text, status=505, code="invalid_http", headers={"Connection": "close"})
    if not request.raw_path.startswith("/") and _netloc(request.raw_path) != request.headers.get("Host"):
        raise BadRequest("The request's target must be a path.", code="invalid_http", headers={"Connection": "close"})


def check_host(request: web.Request, config: Config, *, has_keys: bool) -> None:
    """Refuses a Host that is not ours: a page may have pointed its own host name to this address (DNS rebinding)."""
    hosts = request.headers.getall(hdrs.HOST, [])
    if not hosts and request.version == HttpVersion10:  # no browser sends such a request
        return
    if len(hosts) != 1:
        raise _wrong_host()
    given = (*hosts, *_forwarded(request, config)) if config.server.trusted_proxies else hosts
    for host in given:
        name = _named(host)
        if name is None:
            raise _wrong_host()
        _check_name(name, config.server, has_keys)


def _wrong_host() -> BadRequest:
    return BadRequest("The Host header is missing or wrong.", code="invalid_host")


def _forwarded(request: web.Request, config: Config) -> tuple[str, ...]:
    """The host name that a trusted proxy received, if there is one."""
    host = forwarded_host(request, config.server.trusted_proxies)
    return (host,) if host is not None else ()


def _check_name(name: str, server: Server, has_keys: bool) -> None:
    if name in _LOOPBACK or name in server.allowed_hosts or "*" in server.allowed_hosts:
        return
    if has_keys and not server.allowed_hosts:  # a key is required: a page that does not know it gains nothing
        return
    if name == (f"[{server.host}]" if ":" in server.host else server.host.lower()):
        return
    raise GatewayError(
        f"This gateway does not answer to the name {name!r}. `[server] allowed_hosts` can name it.",
        status=421,
        code="unknown_host",
    )


@lru_cache(64)
def _named(host: str) -> str | None:
    """The name in a Host header, lower-case; None if it is invalid."""
    found = _HOST.fullmatch(host)
    return found[1].lower() if found is not None and int(found[2] or 0) <= 65535 else None


def check_origin(request: web.Request, config: Config, *, has_keys: bool) -> None:
    """A browser sends the origin of the page: only our own page is allowed, and origins in the configuration."""
    headers = request.headers
    if hdrs.ORIGIN not in headers:
        if _SITE not in headers:  # no browser
            return
        if headers[_SITE] == "cross-site" and request.method not in ("GET", "HEAD"):
            raise _foreign("another site")
        return
    origin = headers[hdrs.ORIGIN]
    allowed = config.server.allowed_origins
    if origin in allowed or "*" in allowed or _is_own(request, origin, config, has_keys):
        return
    raise _foreign(origin)


def _is_own(request: web.Request, origin: str, config: Config, has_keys: bool) -> bool:
    """Whether a page of that origin was served by us.

    It was if its host and port equal those of the request. A proxy in front may have changed these: then the browser's
    Sec-Fetch-Site is used, if the host name is the same, or if a key is required, which a foreign page does not know.
    """
    name, port = _place(origin)
    scheme = origin.partition(":")[0]
    hosts = [host.lower() for host in (request.headers.get("Host", ""), *_forwarded(request, config))]
    places = [(_named(host), _port(host) or _DEFAULT_PORTS.get(scheme)) for host in hosts]
    if not name:
        return False
    if (name, port or _DEFAULT_PORTS.get(scheme)) in places:
        return True
    same = request.headers.get(_SITE) == "same-origin"
    return same and (has_keys or any(name == known for known, _ in places))


def _place(origin: str) -> tuple[str, int | None]:
    """Name and port of an origin. Raises BadRequest for an invalid one."""
    netloc = _netloc(origin).lower()
    return _named(netloc) or "", _port(netloc)


def _port(host: str) -> int | None:
    found = _HOST.fullmatch(host)
    return int(found[2]) if found is not None and found[2] else None


def is_expected(request: web.Request, config: Config, *, has_keys: bool) -> bool:
    """Whether the request passes the name checks, for routes that otherwise give a short answer."""
    try:
        check_host(request, config, has_keys=has_keys)
        check_origin(request, config, has_keys=has_keys)
    except GatewayError:
        return False
    return True


def _netloc(url: str) -> str:
    """Host and port of a URL. Raises BadRequest for an invalid one."""
    try:
        return urlsplit(url).netloc
    except ValueError as error:  # for example a missing bracket
        raise BadRequest("That is not a URL.", code="invalid_http") from error


def _foreign(origin: str) -> GatewayError:
    return GatewayError(
        f"Pages of {header_safe(origin)} may not use this gateway. `[server] allowed_origins` can name them.",
        status=403,
        code="forbidden_origin",
    )
