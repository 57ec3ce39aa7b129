"""The native stream's endpoints: ask, stop, resume."""

from __future__ import annotations

from typing import get_args

from aiohttp import web

from llmproxy.asking import chat_body, questions
from llmproxy.config import Config, OnDisconnect
from llmproxy.errors import BadRequest, GatewayError

from . import thread_answer
from .begin import answer, checked_chat, read_body, stop
from .detached import Unkept
from .follow import LEAVING, follow, found, position
from .keys import CURRENT, INFLIGHT, caller


def routes() -> list[web.RouteDef]:
    return [
        web.post("/chat/stream", chat_stream),
        web.post("/chat/cancel", chat_cancel),
        web.get("/v1/requests/{id}/stream", resume),
    ]


async def chat_stream(request: web.Request) -> web.StreamResponse:
    given = await read_body(request)
    if given.get("thread_id") is not None:
        return await thread_answer.ask(request, str(given["thread_id"]), given)
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
