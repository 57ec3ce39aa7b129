"""The native stream's endpoints: ask, stop, resume."""

from __future__ import annotations

import asyncio
import time
from typing import Literal, get_args

import orjson
from aiohttp import web

from llmproxy.asking import chat_body, questions
from llmproxy.chat import Chat, Json
from llmproxy.config import Config, Limits, OnDisconnect
from llmproxy.errors import BadRequest, GatewayError
from llmproxy.inflight import Inflight
from llmproxy.parse import parse_body, parse_chat
from llmproxy.tape import Tape

from . import threads
from .body import read_json
from .detached import Detached, Opening, Record, Told, Unkept
from .follow import LEAVING, follow, found, position
from .keys import CURRENT, INFLIGHT, REQUEST_ID, caller, owner
from .openai import seconds

TAPES_BYTES = 64 * 1024 * 1024  # of all the tapes of requests that have ended


def routes() -> list[web.RouteDef]:
    return [
        web.post("/chat/stream", chat_stream),
        web.post("/chat/cancel", chat_cancel),
        web.get("/v1/requests/{id}/stream", resume),
    ]


async def chat_stream(request: web.Request) -> web.StreamResponse:
    given = await read_body(request)
    if given.get("thread_id") is not None:
        return await threads.ask(request, str(given["thread_id"]), given)
    current, key = request.app[CURRENT], caller(request)
    leaving = _leaving(request, current.config)
    chat = checked_chat(request, chat_body(given, questions(given), current.config))
    gateway = current.gateway
    route = gateway.route(chat, key)
    return await answer(request, chat, Unkept(chat), lambda chat: gateway.open(chat, route), leaving)


async def chat_cancel(request: web.Request) -> web.Response:
    id = (await read_body(request)).get("request_id")
    if not isinstance(id, str):
        raise BadRequest("request_id is missing.", param="request_id")
    return await stop(request, id)


async def resume(request: web.Request) -> web.StreamResponse:
    return await follow(request, found(request, request.match_info["id"]), position(request))


async def read_body(request: web.Request) -> Json:
    return parse_body(await read_json(request, request.app[CURRENT].config.server))


def checked_chat(request: web.Request, body: Json) -> Chat:
    """The chat of this request. Raises BadRequest with the member at fault."""
    trace = Told(request[REQUEST_ID], int(time.time()))
    trace.deadline = asyncio.get_running_loop().time() + seconds(request, request.app[CURRENT].config.limits.deadline)
    return parse_chat(orjson.dumps(body), "chat", trace)


async def answer(
    request: web.Request, chat: Chat, record: Record, opening: Opening, leaving: OnDisconnect
) -> web.StreamResponse:
    """Starts a detached request, and gives its first reader what it says."""
    inflight, limits = request.app[INFLIGHT], request.app[CURRENT].config.limits
    detached = Detached(record, opening, Tape(limits.tape_bytes))
    running = inflight.start(chat.trace.id, owner(request), chat, detached.work)
    running.tape = detached.tape
    running.note[LEAVING] = leaving
    if running.task is not None:
        running.task.add_done_callback(lambda _: _ended(inflight, limits))
    return await follow(request, running, 0)


async def stop(request: web.Request, id: str) -> web.Response:
    """Cancels the caller's request of that id, and answers when its provider's connection is closed."""
    running = request.app[INFLIGHT].get(id, owner(request))
    status: Literal["cancelled", "not_found"] = "not_found"
    if running is not None and (running.cancel("api") or running.state == "cancelled"):
        status = "cancelled"
        if running.task is not None:
            await asyncio.wait({running.task})
    return web.json_response({"status": status, "request_id": id})


def _leaving(request: web.Request, config: Config) -> OnDisconnect:
    """What the client wants to happen when it leaves, if it may want that."""
    wanted = request.headers.get("X-LLMProxy-On-Disconnect", "cancel")
    if wanted not in get_args(OnDisconnect):
        raise BadRequest("X-LLMProxy-On-Disconnect is cancel, drain or detach.", param="X-LLMProxy-On-Disconnect")
    if wanted == "cancel":
        return "cancel"
    if not caller(request).detach:
        raise GatewayError("This key may not detach requests.", status=403, code="detach_forbidden")
    going_on = sum(running.note.get(LEAVING, "cancel") != "cancel" for running in request.app[INFLIGHT])
    if going_on >= config.limits.max_detached:
        text = "Too many detached requests are running."
        raise GatewayError(text, status=429, code="too_many_detached", headers={"Retry-After": "5"})
    return "drain" if wanted == "drain" else "detach"


def _ended(inflight: Inflight, limits: Limits) -> None:
    _forget(inflight, limits)
    asyncio.get_running_loop().call_later(limits.detached_seconds + 1, _forget, inflight, limits)


def _forget(inflight: Inflight, limits: Limits) -> None:
    """Lets go of tapes that ended long ago, and of the oldest where all together are too large."""
    oldest = asyncio.get_running_loop().time() - limits.detached_seconds
    room = TAPES_BYTES
    for running in inflight.recent():
        if running.tape is not None and running.ended is not None:
            room -= running.tape.size
            if room < 0 or running.ended < oldest:
                running.tape = None
