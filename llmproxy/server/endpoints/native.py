"""The native stream's endpoints: ask, stop, resume."""

from __future__ import annotations

from aiohttp import web

from llmproxy.conversations.native_answer import Unkept
from llmproxy.core.errors import BadRequest
from llmproxy.dialects.native.request import chat_body, questions
from llmproxy.store import NotFound

from ..context import CURRENT, caller
from ..middleware.forwarding import forward, has_others
from ..streaming.native_task import answer, checked_chat, read_body
from ..streaming.on_disconnect import leaving
from ..streaming.replay import follow, position, replay
from ..streaming.tapes import find
from .requests import stop
from .threads import ask as ask_in_thread


async def chat_stream(request: web.Request) -> web.StreamResponse:
    given = await read_body(request)
    if given.get("thread_id") is not None:
        return await ask_in_thread(request, str(given["thread_id"]), given)
    current, key = request.app[CURRENT], caller(request)
    policy = leaving(request, request.app[CURRENT].config.limits)
    chat = checked_chat(request, chat_body(given, questions(given), current.config))
    gateway = current.gateway
    route = gateway.route(chat, key)
    return await answer(request, chat, Unkept(chat), lambda chat: gateway.open(chat, route), policy)


async def chat_cancel(request: web.Request) -> web.Response:
    id = (await read_body(request)).get("request_id")
    if not isinstance(id, str):
        raise BadRequest("request_id is missing.", param="request_id")
    return await stop(request, id)


async def resume(request: web.Request) -> web.StreamResponse:
    """Continues a request's events: from memory, or those of a thread's answer from the database.

    Another owner's request is answered like an unknown one.
    """
    id, after = request.match_info["id"], position(request)
    try:
        tape = await find(request, id, after)
    except NotFound as error:
        if error.code != "request_not_found":
            raise
        if (elsewhere := await forward(request, id)) is not None:
            return elsewhere
        tape = await find(request, id, after, orphaned=has_others(request))
    if tape.running is not None:
        return await follow(request, tape.running, after)
    return await replay(request, id, tape.buffer, after)
