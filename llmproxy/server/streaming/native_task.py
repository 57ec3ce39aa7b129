"""A native request from its body to its first reader, and its end by the client's wish."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

import orjson
from aiohttp import web

from llmproxy.config import OnDisconnect
from llmproxy.conversations.native_answer import Detached, Opening, Record, Told
from llmproxy.core.chat import Chat, Json
from llmproxy.dialects.chat_completions.request import parse_body, parse_chat
from llmproxy.requests.replay_buffer import Tape
from llmproxy.requests.retention import keep_tapes

from ..context import CURRENT, INFLIGHT, REQUEST_ID, owner
from ..endpoints.openai import seconds
from ..middleware.body import read_json
from .replay import LEAVING, follow

THREAD = "thread"  # in Running.note: the thread that it answers in


async def read_body(request: web.Request) -> Json:
    return parse_body(await read_json(request, request.app[CURRENT].config.server))


def checked_chat(request: web.Request, body: Json) -> Chat:
    """The chat of this request. Raises BadRequest with the member at fault."""
    trace = Told(request[REQUEST_ID], int(time.time()))
    trace.deadline = asyncio.get_running_loop().time() + seconds(request, request.app[CURRENT].config.limits.deadline)
    return parse_chat(orjson.dumps(body), "chat", trace)


async def answer(
    request: web.Request,
    chat: Chat,
    record: Record,
    opening: Opening,
    leaving: OnDisconnect,
    thread_id: str | None = None,
) -> web.StreamResponse:
    """Starts a detached request, and gives its first reader what it says."""
    inflight, limits = request.app[INFLIGHT], request.app[CURRENT].config.limits
    detached = Detached(record, opening, Tape(limits.tape_bytes, shelf=record.shelf))
    running = inflight.start(chat.trace.id, owner(request), chat, detached.work)
    running.tape = detached.tape
    running.note |= {LEAVING: leaving, THREAD: thread_id}
    running.task.add_done_callback(lambda _: keep_tapes(inflight, limits))
    return await follow(request, running, 0)


async def stop(request: web.Request, id: str) -> web.Response:
    """Cancels the caller's request of that id, and answers when its provider's connection is closed."""
    running = request.app[INFLIGHT].get(id, owner(request))
    status: Literal["cancelled", "not_found"] = "not_found"
    if running is not None and (running.cancel("api") or running.state == "cancelled"):
        status = "cancelled"
        await asyncio.wait({running.task})
    return web.json_response({"status": status, "request_id": id})
