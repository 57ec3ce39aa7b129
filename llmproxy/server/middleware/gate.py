"""Middleware of every request: authentication, authorization, Host and Origin checks, request ID, error formatting."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Middleware

from llmproxy.config import Config
from llmproxy.core import hops
from llmproxy.core.errors import Cancelled, GatewayError, forget_traceback
from llmproxy.observe.log import log
from llmproxy.observe.periodic import where
from llmproxy.observe.refusals import Refusal
from llmproxy.wire.headers import header_safe

from ..context import CURRENT, INTAKE, LOAD_SHEDDING, OBSERVER, PEERS, TURNS, Intake, Shared
from . import cors, errors, request_id
from .auth import admit
from .fair_share import FairShare
from .forwarding import forward, is_from_peer, peer_caller
from .load_shedding import refuse_overload
from .proxied import client_address
from .routes import Handler, Route, dialect_of, met, refuse_switched_off, route_of
from .turns import handle_in_turn

_OFFERED = (
    "Models are asked at POST /v1/chat/completions, /v1/responses, /v1/messages, /v1beta/models/NAME:generateContent, "
    "/v1/completions and /v1/embeddings; GET /v1/models lists them."
)


class Gate:
    """What every request passes first. It knows the shared objects, so that no request looks for them."""

    def __init__(self, app: web.Application) -> None:
        self._shared = Shared.of(app)
        self._peers = app[PEERS]
        self._shedding = app[LOAD_SHEDDING]
        self._turns = app[TURNS]
        self._fair_share = FairShare(self._shared.registry, self._turns)

    async def __call__(self, request: web.Request, route: Route, handler: Handler) -> web.StreamResponse:
        shared, peers = self._shared, self._peers
        registry, config = shared.registry, shared.current.gateway.config
        wanted = request_id.wanted_id(request)
        intake = request[INTAKE] = Intake(shared, route, wanted or registry.fresh())
        try:
            key = await peer_caller(request, peers) if peers is not None else None
            if key is not None:
                intake.key = key
            elif self._must_wait(request, intake, config):
                handler = partial(handle_in_turn, handler)
            if wanted is not None:
                intake.id = registry.free_id(wanted, intake.key.name)
            refuse_switched_off(route, config.dialects)
            hops.arrive(request.headers.get(hops.HEADER))
            response = cors.preflight(request) if cors.is_preflight(request) else await handler(request)
        except GatewayError as error:
            response = await _elsewhere(request, error) or _failed(request, error)
            forget_traceback(error)
        except web.HTTPException as error:
            response = error if error.status < 400 else _failed(request, _http(error, request))
        except asyncio.CancelledError:
            _note_left(request)
            raise
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001  # last resort: a 500 without details
            log.error(
                "internal_error", id=intake.id, path=request.path, failure=type(error).__name__, where=where(error)
            )
            response = _failed(request, GatewayError("The gateway failed. The log says where.", code="internal_error"))
            forget_traceback(error)
        if not response.prepared:
            response.headers[request_id.HEADER] = intake.id
        return response

    def _must_wait(self, request: web.Request, intake: Intake, config: Config) -> bool:
        """Finds the caller's key, and whether the request has to wait for its turn. Raises GatewayError."""
        route, shared = intake.route, self._shared
        ring = shared.accounts.keys
        running = len(shared.registry) if route.counts else 0
        verdict = self._turns.verdicts.pop(request.protocol, None) if self._turns.verdicts else None
        inside = running if verdict else running + len(self._turns)
        shortages = refuse_overload(request, route, self._shedding, inside, shared.current, ring)
        intake.key = admit(request, route, ring, config)
        if isinstance(verdict, GatewayError):
            raise verdict
        if shortages:
            self._fair_share.refuse_heavy(intake.key.name, shortages, inside)
        return route.counts and not verdict and not self._turns.begins(running)


def middleware(app: web.Application) -> Middleware:
    """The gate as aiohttp's only middleware, for requests whose route its router finds."""
    gate = Gate(app)

    @web.middleware
    async def passed(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await gate(request, met(request, app), handler)

    return passed


def _failed(request: web.Request, error: GatewayError) -> web.Response:
    intake = request[INTAKE]
    response = errors.response(error, intake.trace, dialect_of(request), intake.id)
    if not intake.started and not is_from_peer(request):
        _note(request, error, response.status)
    return response


def _note_left(request: web.Request) -> None:
    """Records a client that disconnected before its request had a task."""
    left = request.transport is None or request.transport.is_closing()
    if left and not request[INTAKE].started and route_of(request).counts and not is_from_peer(request):
        _note(request, Cancelled.because("client_disconnect"), 499)


def _note(request: web.Request, error: GatewayError, status: int) -> None:
    """Records a refused request, which has no task, for the log, the metrics and /v1/requests."""
    app, intake = request.app, request[INTAKE]
    refusal = Refusal(
        id=intake.id,
        at=time.time(),
        address=client_address(request, app[CURRENT].config.server.trusted_proxies),
        method=request.method[:20],
        path=request.path[:200],
        status=status,
        code=error.code,
        owner=intake.key.name,
        message=error.message[:300],
    )
    app[OBSERVER].refusals.add(refusal)


async def _elsewhere(request: web.Request, error: GatewayError) -> web.StreamResponse | None:
    """The answer of another process for a request that is unknown here, or of the store if its process has ended."""
    if error.code not in ("request_not_found", "response_not_found"):
        return None
    try:
        found = await forward(request, request.match_info.get("id", ""))
        lost = route_of(request).lost
        if found is not None or lost is None or is_from_peer(request):
            return found
        return await lost(request)
    except GatewayError as unanswered:
        return _failed(request, unanswered)


def _http(error: web.HTTPException, request: web.Request) -> GatewayError:
    """The error for aiohttp's refusals: unknown path, wrong method, too large."""
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
        return GatewayError(f"There is nothing at {path}. {_OFFERED}", status=404, code="unknown_url")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return GatewayError("The request's body is too large.", status=413, code="request_too_large")
    return GatewayError(error.reason, status=error.status)
