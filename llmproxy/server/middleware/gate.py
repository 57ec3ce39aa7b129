"""What every request passes first and every answer last: whose it is, whether it may, its id, and failures in OpenAI's form."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from hmac import compare_digest
from urllib.parse import urlsplit

from aiohttp import HttpVersion10, HttpVersion11, web

from llmproxy.config import Config, Key
from llmproxy.core.errors import BadRequest, GatewayError, bare
from llmproxy.core.ids import fresh_id
from llmproxy.observe.log import log
from llmproxy.observe.periodic import where
from llmproxy.wire.provider_errors import header_safe

from ..context import ANYBODY, CALLER, CURRENT, GUESSES, INFLIGHT, PEERS, REQUEST_ID, TRACE
from ..process.listener import shed
from . import cors, errors
from .peers import TOKEN

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))
_OPEN = frozenset(("/livez", "/readyz", "/healthz"))  # no key: they tell nothing
_PAGE = ("/v1", "/chat", "/threads", "/api", "/metrics")  # what is not below these is the page, which is public


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The only middleware."""
    app = request.app
    request[REQUEST_ID] = _id(request)
    try:
        current = app[CURRENT]
        shed(request, current.config.server.max_in_flight, app[INFLIGHT])
        request[CALLER] = _admit(request, current.config)
        response = cors.preflight() if cors.is_preflight(request) else await handler(request)
    except GatewayError as error:
        response = await _elsewhere(request, error) or errors.response(error, request.get(TRACE))
        bare(error)
    except web.HTTPException as error:
        response = error if error.status < 400 else errors.response(_http(error, request))
    except (ConnectionError, TimeoutError):
        raise
    except Exception as error:  # noqa: BLE001  # the last line of defence: told as a 500, without what it was about
        log.error(
            "internal_error",
            id=request[REQUEST_ID],
            path=request.path,
            failure=type(error).__name__,
            where=where(error),
        )
        response = errors.response(GatewayError("The gateway failed. The log says where.", code="internal_error"))
        bare(error)
    if not response.prepared:
        response.headers["X-Request-ID"] = request[REQUEST_ID]
    return response


async def _elsewhere(request: web.Request, error: GatewayError) -> web.StreamResponse | None:
    """What another worker says of a request that we do not know."""
    peers = request.app[PEERS]
    if error.code != "request_not_found" or peers is None or TOKEN in request.headers:
        return None
    return await peers.forward(request)


def _id(request: web.Request) -> str:
    """The client's own id if it is well-formed and free, else an unguessable one."""
    wanted = request.headers.get("X-Request-ID")
    if wanted is None:
        return fresh_id()
    return request.app[INFLIGHT].free_id(wanted if _ID.fullmatch(wanted) else None)


def _admit(request: web.Request, config: Config) -> Key:
    peers = request.app[PEERS]
    if peers is not None and (key := peers.caller(request)) is not None:
        return key
    _check_form(request)
    _check_host(request, config)
    _check_origin(request, config)
    if (
        not config.server.keys
        or cors.is_preflight(request)
        or request.path in _OPEN
        or not request.path.startswith(_PAGE)
    ):
        return ANYBODY if not config.server.keys else Key(name="", secret="", models=())
    given = _given(request)
    found = None
    for key in config.server.keys:  # all of them, always: the time tells nothing
        if compare_digest(key.secret.encode(), given.encode("utf-8", "surrogateescape")):
            found = key
    if found is None:
        raise _unknown(request, given)
    return found


def _unknown(request: web.Request, given: str) -> GatewayError:
    if given and (wait := request.app[GUESSES].wrong(request.remote or "")) > 0:
        headers = {"Retry-After": str(math.ceil(wait)), "x-should-retry": "false", "Connection": "close"}
        text = "Too many wrong API keys came from your address."
        return GatewayError(text, status=429, code="too_many_wrong_keys", headers=headers)
    return GatewayError(
        "Incorrect API key." if given else "You must send an API key: `Authorization: Bearer KEY`.",
        status=401,
        type="invalid_request_error",
        code="invalid_api_key",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _given(request: web.Request) -> str:
    bearer = request.headers.get("Authorization", "")
    other = request.headers.get("X-Api-Key") or request.headers.get("Api-Key") or ""
    kind, _, token = bearer.partition(" ")
    if bearer and other and other != token.strip():
        raise BadRequest("Two different keys were sent.", code="invalid_api_key")
    return token.strip() if kind.lower() == "bearer" else other


def _check_form(request: web.Request) -> None:
    """HTTP/1 asked of us, not of somebody behind us: this is no proxy."""
    if request.version not in (HttpVersion10, HttpVersion11):
        text = "This gateway speaks HTTP/1.1."
        raise GatewayError(text, status=505, code="invalid_http", headers={"Connection": "close"})
    if not request.raw_path.startswith("/") and urlsplit(request.raw_path).netloc != request.headers.get("Host"):
        raise BadRequest("The request's target must be a path.", code="invalid_http", headers={"Connection": "close"})


def _check_host(request: web.Request, config: Config) -> None:
    """A name that is not ours is a page that had its own name point here (DNS rebinding)."""
    hosts = request.headers.getall("Host", [])
    name = _named(hosts[0]) if len(hosts) == 1 else None
    if name is None:
        raise BadRequest("The Host header is missing or wrong.", code="invalid_host")
    server = config.server
    if name in _LOOPBACK or name == server.host or name in server.allowed_hosts or "*" in server.allowed_hosts:
        return
    if server.keys and not server.allowed_hosts:  # a key is asked for: a page that does not know it gains nothing
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


def _check_origin(request: web.Request, config: Config) -> None:
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
    if urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower():
        raise _foreign(origin)


def _foreign(origin: str) -> GatewayError:
    return GatewayError(
        f"Pages of {header_safe(origin)} may not use this gateway. `[server] allowed_origins` can name them.",
        status=403,
        code="forbidden_origin",
    )


def _http(error: web.HTTPException, request: web.Request) -> GatewayError:
    """aiohttp's own refusals: no such path, wrong method, too large."""
    path = header_safe(request.path)
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return GatewayError(
            f"{path} takes {allowed}, not {error.method}.",
            status=405,
            code="method_not_allowed",
            headers={"Allow": allowed},
        )
    if isinstance(error, web.HTTPNotFound):
        return GatewayError(f"There is nothing at {path}. The API begins at /v1.", status=404, code="unknown_url")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return GatewayError("The request's body is too large.", status=413, code="request_too_large")
    return GatewayError(error.reason, status=error.status)
