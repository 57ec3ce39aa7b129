"""What happens when a client disconnects: cancel, drain or detach, and the limit of detached requests."""

from __future__ import annotations

from typing import cast, get_args

from aiohttp import web
from multidict import istr

from llmproxy.config import Limits, OnDisconnect
from llmproxy.core.errors import BadRequest, GatewayError

from ..context import CURRENT, REGISTRY, caller

HEADER = istr("X-LLMProxy-On-Disconnect")
_VALUES = get_args(OnDisconnect)


def leaving(request: web.Request, limits: Limits) -> OnDisconnect:
    """What to do on disconnect: by the client's header, otherwise by the configuration. Raises GatewayError: 403 if the key may
    not detach, 429 if too many requests are detached."""
    is_given = HEADER in request.headers
    wanted = request.headers[HEADER] if is_given else limits.on_disconnect
    if wanted not in _VALUES:
        raise BadRequest(f"{HEADER} is cancel, drain or detach.", param=HEADER, code="invalid_header")
    if wanted == "cancel":
        return "cancel"
    if not caller(request).detach:
        if not is_given:  # only the configuration asks for it: this key's requests end with their clients
            return "cancel"
        raise GatewayError("This key may not detach requests.", status=403, code="detach_forbidden")
    _refuse_too_many(sum(running.leaving != "cancel" for running in request.app[REGISTRY]), limits)
    return cast("OnDisconnect", wanted)


def in_background(request: web.Request) -> None:
    """For a background request. Raises GatewayError: 403 if the key may not detach, 429 if too many requests are detached."""
    if not caller(request).detach:
        raise GatewayError("This key may not detach requests.", status=403, code="detach_forbidden", param="background")
    limits = request.app[CURRENT].config.limits
    _refuse_too_many(sum(running.leaving != "cancel" for running in request.app[REGISTRY]), limits)


def in_thread(request: web.Request) -> OnDisconnect:
    """An answer in a thread continues without its client, if the key may detach requests.

    Raises GatewayError (429) if too many requests without readers are running.
    """
    if not caller(request).detach:
        return "cancel"
    unread = sum(running.leaving != "cancel" and not running.readers for running in request.app[REGISTRY])
    _refuse_too_many(unread, request.app[CURRENT].config.limits)
    return "detach"


def _refuse_too_many(going_on: int, limits: Limits) -> None:
    if going_on >= limits.max_detached:
        text = "Too many detached requests are running."
        raise GatewayError(text, status=429, code="too_many_detached", headers={"Retry-After": "5"})
