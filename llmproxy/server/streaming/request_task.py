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

from ..context import ACCOUNTS, BODY_BYTES, CURRENT, OBSERVER, REGISTRY, STARTED, owner
from ..middleware.charge import admit
from ..middleware.routes import dialect_of
from .detached import DetachedAnswer
from .direct import DirectAnswer
from .on_disconnect import leaving
from .replay import follow
from .shared import opening, settle_late


async def ask(request: web.Request, chat: Chat, gateway: Gateway, route: Route) -> web.StreamResponse:
    """Starts the request's task, and gives its answer."""
    policy = leaving(request)
    if policy == "detach":
        return await _detached(request, chat, gateway, route)
    opened = opening(request, chat, gateway, route)
    answer = DirectAnswer(request, request.app[CURRENT].config.limits, chat.dialect, drains=policy == "drain")
    given: list[web.StreamResponse] = []  # not the task's result: that is remembered with it

    async def work(running: Running) -> None:
        given.append(await answer.give(running, opened))

    running = await started(request, chat, work)
    settle_late(request, running, opened)
    running.leaving = policy
    if policy == "cancel":
        running.transport = request.transport
    try:
        await ended(running)
    except asyncio.CancelledError:  # we are the ones who are stopped: the client left
        if policy == "cancel":
            running.stop("client_disconnect")
        raise
    if given:
        return given.pop()
    if running.by is not None and running.error is not None:
        return await answer.fail(running.error)
    assert running.error is not None
    raise running.error


async def _detached(request: web.Request, chat: Chat, gateway: Gateway, route: Route) -> web.StreamResponse:
    """The task goes on whoever leaves, and its answer is kept a while: `GET /v1/requests/{id}/stream` continues it."""
    running, taped = await detach(request, chat, gateway, route)
    if chat.stream:
        return await follow(request, running, 0)
    await ended(running)
    if running.refused is not None:
        raise running.refused
    return web.Response(body=taped.body, content_type="application/json", headers=running.headers)


async def detach(request: web.Request, chat: Chat, gateway: Gateway, route: Route) -> tuple[Running, DetachedAnswer]:
    """Starts a task that nobody waits for."""
    registry, limits = request.app[REGISTRY], request.app[CURRENT].config.limits
    opened = opening(request, chat, gateway, route)
    taped = DetachedAnswer(opened, ReplayBuffer(limits.tape_bytes), dialect_of(request))
    running = await started(request, chat, taped.work)
    settle_late(request, running, opened)
    running.buffer, running.leaving = taped.buffer, "detach"
    running.task.add_done_callback(lambda _: keep_tapes(registry, limits))
    return running, taped


async def started(request: web.Request, chat: Chat, work: Callable[[Running], Coroutine[Any, Any, Any]]) -> Running:
    """Starts the request's task, if its key has room for it. Nothing is waited for once it runs."""
    charge = await admit(request, chat)
    try:
        running = request.app[REGISTRY].start(chat.trace.id, owner(request), chat, work)
    except GatewayError:
        if charge is not None:
            charge.end(request.app[ACCOUNTS].now(), None)
        raise
    running.charge, running.bytes_in = charge, request.get(BODY_BYTES)
    request[STARTED] = True
    request.app[OBSERVER].started()
    return running
