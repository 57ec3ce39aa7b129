"""A handler's waiting for the request's task: it goes when the client goes, and tells the client when somebody else stopped it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

from llmproxy.core.chat import Chat
from llmproxy.core.errors import Cancelled
from llmproxy.requests.registry import Running
from llmproxy.requests.replay_buffer import Tape
from llmproxy.requests.retention import keep_tapes
from llmproxy.routing.gateway import Gateway
from llmproxy.routing.router import Route

from ..context import CURRENT, INFLIGHT, OBSERVER, owner
from .detached import Taped
from .direct import Answer
from .on_disconnect import leaving
from .replay import follow


async def ask(request: web.Request, chat: Chat, gateway: Gateway, route: Route) -> web.StreamResponse:
    """Starts the request's task, and gives its answer."""
    policy = leaving(request)
    if policy == "detach":
        return await _detached(request, chat, gateway, route)
    answer = Answer(request, request.app[CURRENT].config.limits, drains=policy == "drain")
    given: list[web.StreamResponse] = []  # not the task's result: that is remembered with it

    async def work(running: Running) -> None:
        given.append(await answer.give(running, gateway.open(chat, route)))

    running = _started(request, chat, work)
    if policy == "drain":
        running.leaving = policy
        await asyncio.wait({running.task})  # our own end is not its end
    else:
        running.transport = request.transport
    try:
        await running.task
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():  # we are the ones who are stopped: the client left
            raise
        return await answer.fail(Cancelled.because(running.by))
    return given.pop()


async def _detached(request: web.Request, chat: Chat, gateway: Gateway, route: Route) -> web.StreamResponse:
    """The task goes on whoever leaves, and its answer is kept a while: `GET /v1/requests/{id}/stream` continues it."""
    inflight, limits = request.app[INFLIGHT], request.app[CURRENT].config.limits
    taped = Taped(gateway.open(chat, route), Tape(limits.tape_bytes))
    running = _started(request, chat, taped.work)
    running.tape, running.leaving = taped.tape, "detach"
    running.task.add_done_callback(lambda _: keep_tapes(inflight, limits))
    if chat.stream:
        return await follow(request, running, 0)
    await asyncio.wait({running.task})
    if running.refused is not None:
        raise running.refused
    await running.task  # what else went wrong
    return web.Response(body=taped.body, content_type="application/json", headers=running.headers)


def _started(request: web.Request, chat: Chat, work: Callable[[Running], Coroutine[Any, Any, Any]]) -> Running:
    running = request.app[INFLIGHT].start(chat.trace.id, owner(request), chat, work)
    request.app[OBSERVER].started()
    return running
