"""Requests that another worker knows: passed on to it, and taken from it."""

from __future__ import annotations

import aiohttp
from aiohttp import web

from llmproxy.cluster.peers import UNREACHABLE, Peers, Question
from llmproxy.config import Key
from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError
from llmproxy.wire.sse import event

from ..context import CALLER, PEERS, SMALL_BODY
from . import errors
from .credentials import without_key

TOKEN = "X-LLMProxy-Peer"
_LOST = GatewayError("The process that answered has ended.", code="answer_lost")
_NAME, _ADMIN = "X-LLMProxy-Peer-Caller", "X-LLMProxy-Peer-Admin"
_PASSED = ("Last-Event-ID", "Content-Type", "Accept")
_SHOWN = ("Content-Type", "Cache-Control", "X-Accel-Buffering", "X-Request-ID")


def peer_caller(request: web.Request) -> Key | None:
    """On whose behalf another worker asks; None if this is no other worker."""
    peers = request.app[PEERS]
    if peers is None or request.headers.get(TOKEN) != peers.token or not _is_local(request):
        return None
    return Key(request.headers.get(_NAME, ""), "", admin=request.headers.get(_ADMIN) == "1")


async def forward(request: web.Request) -> web.StreamResponse | None:
    """The answer of whichever worker knows what is asked about; None if none does, or if one of them asks."""
    peers = request.app[PEERS]
    if peers is None or TOKEN in request.headers:
        return None
    for asking in peers.ask_each(await _question(request, peers)):
        try:
            async with asking as found:
                if found.status != 404:
                    return await _relayed(request, found)
        except UNREACHABLE:
            continue
    return None


def is_from_peer(request: web.Request) -> bool:
    """Whether another worker passes this on: it is then for what this worker alone knows."""
    return TOKEN in request.headers and peer_caller(request) is not None


async def others(request: web.Request) -> list[Json]:
    """What the other workers say to the same request; nothing where there are none, or if one of them asks."""
    peers = request.app[PEERS]
    return [] if peers is None or TOKEN in request.headers else await peers.gather(await _question(request, peers))


async def others_say(request: web.Request, path: str) -> list[Json]:
    """What the other workers say to GET `path`, asked on behalf of the same caller."""
    peers = request.app[PEERS]
    if peers is None or TOKEN in request.headers:
        return []
    return await peers.gather(Question("GET", path, _on_behalf(request, peers), b""))


async def _question(request: web.Request, peers: Peers) -> Question:
    passed = {name: request.headers[name] for name in _PASSED if name in request.headers}
    body = request[SMALL_BODY] if SMALL_BODY in request else await request.read()
    return Question(request.method, without_key(request.path_qs), {**passed, **_on_behalf(request, peers)}, body)


def _on_behalf(request: web.Request, peers: Peers) -> dict[str, str]:
    key = request[CALLER]
    return {TOKEN: peers.token, _NAME: key.name, _ADMIN: "1" if key.admin else "0", "Host": "localhost"}


async def _relayed(request: web.Request, found: aiohttp.ClientResponse) -> web.StreamResponse:
    """The other worker's answer. Its head is sent once: if that worker dies, the stream ends with an error event."""
    headers = {name: found.headers[name] for name in _SHOWN if name in found.headers}
    response = web.StreamResponse(status=found.status, headers=headers)
    await response.prepare(request)
    native = False
    try:
        async for piece in found.content.iter_any():
            native = native or b"event: " in piece
            await response.write(piece)
    except aiohttp.ClientError:
        if found.content_type != "text/event-stream":
            raise ConnectionResetError("the worker that answered is gone") from None  # a body that is cut is not ended
        await response.write(event("done", {"ok": False, **_LOST.as_json()}, None) if native else errors.event(_LOST))
    return response


def _is_local(request: web.Request) -> bool:
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return isinstance(name, (str, bytes))
