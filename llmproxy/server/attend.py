"""A handler's waiting for the request's task: it goes when the client goes, and tells the client when somebody else stopped it."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ..chat import Chat
from ..gateway import Gateway
from ..inflight import Running
from ..routing import Route
from . import faults
from .answer import Answer
from .keys import CURRENT, INFLIGHT, OBSERVER, owner
from .watch import TRANSPORT


async def ask(request: web.Request, chat: Chat, gateway: Gateway, route: Route) -> web.StreamResponse:
    """Starts the request's task, and gives its answer."""
    answer = Answer(request, request.app[CURRENT].config.limits)

    async def work(running: Running) -> web.StreamResponse:
        return await answer.give(running, gateway.open(chat, route))

    running = request.app[INFLIGHT].start(chat.trace.id, owner(request), chat, work)
    running.note[TRANSPORT] = request.transport
    request.app[OBSERVER].started()
    try:
        response: web.StreamResponse = await running.task
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():  # we are the ones who are stopped: the client left
            raise
        return await answer.fail(faults.cancelled(running.by))
    return response
