"""A native request from its body to its first reader, and what happens when the client disconnects."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import orjson
from aiohttp import web

from llmproxy.accounts.pricing import Pricing
from llmproxy.config import OnDisconnect
from llmproxy.conversations.native_answer import NativeAnswer, Opening, Record
from llmproxy.core.chat import Chat, Json
from llmproxy.core.trace import Trace
from llmproxy.core.usage import DOLLAR
from llmproxy.dialects.chat_completions.request import parse_chat
from llmproxy.requests.record import record as recorded
from llmproxy.requests.replay_buffer import ReplayBuffer
from llmproxy.requests.retention import keep_tapes
from llmproxy.requests.running import Running
from llmproxy.wire.json_body import parse_body
from llmproxy.wire.sse import Events

from ..context import ACCOUNTS, CURRENT, INTAKE, REGISTRY
from ..middleware.affinity import affinity
from ..middleware.body import parsed, read_json
from ..middleware.deadline import seconds
from .replay import follow
from .request_task import started


async def read_body(request: web.Request) -> Json:
    return await parsed(await read_json(request, request.app[CURRENT].config.server), parse_body)


def checked_chat(request: web.Request, body: Json) -> Chat:
    """The chat of this request. Raises BadRequest; `param` names the invalid member."""
    trace = Trace(request[INTAKE].id, int(time.time()), affinity=affinity(request))
    trace.deadline = asyncio.get_running_loop().time() + seconds(request, request.app[CURRENT].config.limits.deadline)
    return parse_chat(orjson.dumps(body), trace)


async def answer(
    request: web.Request,
    chat: Chat,
    record: Record,
    opening: Opening,
    leaving: OnDisconnect,
    thread_id: str | None = None,
) -> web.StreamResponse:
    """Starts a request, and sends its events to the first reader, or only its ID if the client does not want to wait."""
    registry, limits = request.app[REGISTRY], request.app[CURRENT].config.limits
    cost = partial(_cost, request.app[ACCOUNTS].pricing)
    detached = NativeAnswer(record, opening, ReplayBuffer(limits.tape_bytes, stored=record.stored), cost)
    running = await started(request, chat, detached.work)
    running.buffer = detached.buffer
    running.leaving, running.thread_id = leaving, thread_id
    running.task.add_done_callback(lambda _: keep_tapes(registry, limits))
    if leaving == "detach" and _would_not_wait(request):
        return await _accepted(running, detached.buffer)
    return await follow(request, running, 0)


def _would_not_wait(request: web.Request) -> bool:
    """`Prefer: respond-async` (RFC 7240). Only for a request that continues without readers, because it can be followed later."""
    preferences = ",".join(request.headers.getall("Prefer", ())).split(",")
    return "respond-async" in {one.partition(";")[0].strip().lower() for one in preferences}


async def _accepted(running: Running, buffer: ReplayBuffer) -> web.Response:
    """202 with the members of `init`, after the question is stored. Raises the request's own error if it never began."""
    await buffer.more(0)
    if running.refused is not None:
        raise running.refused
    first = next(Events().feed(buffer.take(0, 1)[1]))
    init = orjson.loads(first.data) if first.name == b"init" else {}
    body = orjson.dumps({"request_id": running.id, **init})
    headers = {"Preference-Applied": "respond-async", "X-Request-ID": running.id}
    return web.Response(body=body, status=202, content_type="application/json", headers=headers)


def _cost(pricing: Pricing, running: Running) -> float | None:
    cost = recorded(running, pricing).cost_e12
    return cost / DOLLAR if cost is not None else None
