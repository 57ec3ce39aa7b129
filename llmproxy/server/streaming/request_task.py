"""Waits for a request's task in its handler: stops it on disconnect, and sends the end if it was stopped elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

from llmproxy.core.chat import Chat
from llmproxy.core.errors import GatewayError
from llmproxy.requests.registry import ended
from llmproxy.requests.replay_buffer import ReplayBuffer
from llmproxy.requests.retention import keep_tapes
from llmproxy.requests.running import Running
from llmproxy.routing.gateway import Gateway
from llmproxy.routing.router import Route

from ..context import CURRENT, INTAKE, REGISTRY
from ..middleware.charge import admit
from ..middleware.routes import dialect_of
from .detached import DetachedAnswer
from .direct import DirectAnswer
from .on_disconnect import leaving
from .replay import follow
from .shared import opening, settle_late


async def ask(request: web.Request, chat: Chat, gateway: Gateway, route: Route) -> web.StreamResponse:
    """Starts the request's task, waits for it, and returns its answer."""
    policy = leaving(request, gateway.config.limits)
    if policy == "detach":
        return await _detached(request, chat, gateway, route)
    opened = opening(request, chat, gateway, route)
    answer = DirectAnswer(request, opened, gateway.config.limits, chat.dialect, drains=policy == "drain")
    running = await started(request, chat, answer.give)
    settle_late(request, running, opened)
    running.leaving = policy
    if policy == "cancel":
        running.transport = request.transport
    try:
        await running.over()
    except asyncio.CancelledError:  # the handler itself is cancelled: the client disconnected
        if policy == "cancel":
            running.stop("client_disconnect")
        raise
    if answer.given is not None:
        return answer.given
    if running.by is not None and running.error is not None:
        return await answer.fail(running.error)
    assert running.error is not None
    raise running.error


async def _detached(request: web.Request, chat: Chat, gateway: Gateway, route: Route) -> web.StreamResponse:
    """The task continues without readers, and its answer is kept for a while: `GET /v1/requests/{id}/stream` reads it."""
    running, taped = await detach(request, chat, gateway, route)
    if chat.stream:
        return await follow(request, running, 0)
    await ended(running)
    if running.refused is not None:
        raise running.refused
    return web.Response(body=taped.body, content_type="application/json", headers=running.headers)


async def detach(request: web.Request, chat: Chat, gateway: Gateway, route: Route) -> tuple[Running, DetachedAnswer]:
    """Starts a task without waiting for it."""
    registry, limits = request.app[REGISTRY], request.app[CURRENT].config.limits
    opened = opening(request, chat, gateway, route)
    taped = DetachedAnswer(opened, ReplayBuffer(limits.tape_bytes), dialect_of(request))
    running = await started(request, chat, taped.work)
    settle_late(request, running, opened)
    running.buffer, running.leaving = taped.buffer, "detach"
    running.task.add_done_callback(lambda _: keep_tapes(registry, limits))
    return running, taped


async def started(request: web.Request, chat: Chat, work: Callable[[Running], Coroutine[Any, Any, Any]]) -> Running:
    """Starts the request's task, if the limits of its key allow it."""
    intake = request[INTAKE]
    shared, charge = intake.shared, await admit(request, intake, chat)
    try:
        running = shared.registry.start(chat.trace.id, intake.key.name, chat, work)
    except GatewayError:
        if charge is not None:
            charge.end(shared.accounts.now(), None)
        raise
    running.charge, running.bytes_in = charge, intake.body_bytes
    intake.started = True
    shared.observer.started()
    return running
