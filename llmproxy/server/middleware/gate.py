"""Middleware of every request: authentication, authorization, Host and Origin checks, request ID, error formatting."""

from __future__ import annotations

import time

from aiohttp import web

from llmproxy.core import hops
from llmproxy.core.errors import GatewayError, forget_traceback
from llmproxy.observe.log import log
from llmproxy.observe.periodic import where
from llmproxy.observe.refusals import Refusal
from llmproxy.wire.headers import header_safe

from ..context import ACCOUNTS, CALLER, CURRENT, OBSERVER, PEERS, REGISTRY, REQUEST_ID, STARTED, TRACE, TURNS
from . import cors, errors
from .auth import admit
from .forwarding import forward, is_from_peer, peer_caller
from .load_shedding import refuse_more_than_share, refuse_overload
from .proxied import client_address
from .request_id import request_id
from .routes import Handler, dialect_of, refuse_switched_off, route_of


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The only middleware."""
    app = request.app
    request[REQUEST_ID] = request_id(request)
    try:
        current = app[CURRENT]
        peers = app[PEERS]
        key = await peer_caller(request, peers) if peers is not None else None
        if key is None:
            refuse_overload(request, current.config.server.max_in_flight, app[REGISTRY])
            key = admit(request, current.config)
            if route_of(request).counts:
                refuse_more_than_share(request, key.name, current.config.server.max_in_flight, app[REGISTRY])
                if app[ACCOUNTS].keys.several and not app[TURNS].begins():
                    await app[TURNS].wait(key.name, current.config.server.max_lag)
        request[CALLER] = key
        request[REQUEST_ID] = app[REGISTRY].free_id(request[REQUEST_ID], key.name)
        refuse_switched_off(request, current.config.dialects)
        hops.arrive(request.headers.get(hops.HEADER))
        response = cors.preflight(request) if cors.is_preflight(request) else await handler(request)
    except GatewayError as error:
        response = await _elsewhere(request, error) or _failed(request, error)
        forget_traceback(error)
    except web.HTTPException as error:
        response = error if error.status < 400 else _failed(request, _http(error, request))
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
        response = _failed(request, GatewayError("The gateway failed. The log says where.", code="internal_error"))
        forget_traceback(error)
    if not response.prepared:
        response.headers["X-Request-ID"] = request[REQUEST_ID]
    return response


def _failed(request: web.Request, error: GatewayError) -> web.Response:
    response = errors.response(error, request.get(TRACE), dialect_of(request), request[REQUEST_ID])
    if STARTED not in request and not is_from_peer(request):
        _note(request, error, response.status)
    return response


def _note(request: web.Request, error: GatewayError, status: int) -> None:
    """A request without a task of its own would leave no trace: for the log, the metrics and /v1/requests."""
    app, key = request.app, request.get(CALLER)
    refusal = Refusal(
        id=request[REQUEST_ID],
        at=time.time(),
        address=client_address(request, app[CURRENT].config.server.trusted_proxies),
        method=request.method[:20],
        path=request.path[:200],
        status=status,
        code=error.code,
        owner=key.name if key is not None else "",
        message=error.message[:300],
    )
    app[OBSERVER].refusals.add(refusal)


async def _elsewhere(request: web.Request, error: GatewayError) -> web.StreamResponse | None:
    """What another process says of a request that we do not know."""
    if error.code not in ("request_not_found", "response_not_found"):
        return None
    try:
        return await forward(request, request.match_info.get("id", ""))
    except GatewayError as unanswered:
        return _failed(request, unanswered)


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
