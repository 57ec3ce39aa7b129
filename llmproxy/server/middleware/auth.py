"""Who asks: finds the caller's key."""

from __future__ import annotations

import math
from hmac import compare_digest

from aiohttp import web

from llmproxy.config import Config, Key
from llmproxy.core.errors import BadRequest, GatewayError

from ..context import ANYBODY, AUTH_THROTTLE
from . import cors
from .forwarding import peer_caller
from .origin import check_form, check_host, check_origin
from .routes import route_of

NOBODY = Key(name="", secret="", models=())  # the caller of what is open, where keys are configured


def admit(request: web.Request, config: Config) -> Key:
    """The key that a request came with. Raises GatewayError: 401, or 429 after many wrong ones from one address."""
    if (key := peer_caller(request)) is not None:
        return key
    check_form(request)
    check_host(request, config)
    check_origin(request, config)
    if not config.server.keys:
        return ANYBODY
    if route_of(request).access == "open" or cors.is_preflight(request):
        return NOBODY
    given = _given(request)
    found = None
    for key in config.server.keys:  # all of them, always: the time tells nothing
        if compare_digest(key.secret.encode(), given.encode("utf-8", "surrogateescape")):
            found = key
    if found is None:
        raise _unknown(request, given)
    return found


def _unknown(request: web.Request, given: str) -> GatewayError:
    if given and (wait := request.app[AUTH_THROTTLE].wrong(request.remote or "")) > 0:
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
