"""POST /v1/responses: finds stored responses that the request refers to, and stores the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import orjson
from aiohttp import web

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.core.measure import BYTES_PER_TOKEN, IMAGE_TOKENS, measured
from llmproxy.dialects.responses.compact import Compact, parse_compact
from llmproxy.dialects.responses.dialect import DIALECT, Responses
from llmproxy.dialects.responses.errors import failure
from llmproxy.dialects.responses.ids import fresh
from llmproxy.dialects.responses.known import Known, KnownItem
from llmproxy.dialects.responses.request import input_items, parse_response
from llmproxy.dialects.responses.response_object import queued
from llmproxy.dialects.responses.state import Kept, with_ids
from llmproxy.requests.running import Running

from ..context import CURRENT, REGISTRY, caller, owner
from ..streaming.on_disconnect import in_background
from ..streaming.replay import follow
from ..streaming.request_task import ask, detach
from .answer import asked
from .kept_responses import UNFINISHED, find, find_item, keeps, put
from .token_count import count_response

# Client headers that are passed on to OpenAI; all others are not.
_PASSED = ("openai-", "x-openai-", "x-codex-")
_TOO_LARGE: Json = {
    "status": "failed",
    "error": {"code": "server_error", "message": "The response is larger than the store ([responses] bytes)."},
    "output": [],
}
_NAMED = frozenset(("originator", "session-id", "session_id", "thread-id", "x-client-request-id"))


async def create(request: web.Request) -> web.StreamResponse:
    chat = await asked(request, partial(parse_response, dialect=DIALECT, headers=_passed_on(request)))
    earlier = await _earlier(request, chat)
    made: dict[str, Kept] = {}
    known = _kept(request, chat, earlier, await _references(request, chat, earlier), made)
    chat = replace(chat, dialect=Responses(known))
    gateway = request.app[CURRENT].gateway
    route = gateway.route(chat, caller(request))
    if not chat.body.get("background"):
        return await ask(request, chat, gateway, route)
    if not known.stored:
        raise BadRequest(
            "`background` needs `store`, and this is not stored.", param="background", code="invalid_value"
        )
    in_background(request)
    running, _ = await detach(request, chat, gateway, route)
    running.task.add_done_callback(lambda _: _settle(request, running, made))
    if chat.stream:
        return await follow(request, running, 0)
    body = orjson.dumps(queued(chat, known.id))
    made[known.id] = Kept(known.id, owner(request), body, request_id=chat.trace.id)
    put(request, made[known.id])
    return web.Response(body=body, content_type="application/json")


async def compact(request: web.Request) -> web.StreamResponse:
    """Passes the request on to a provider that can compact, with the items that it refers to."""
    chat = await asked(request, partial(parse_compact, headers=_passed_on(request)))
    chat = replace(chat, dialect=Compact(await _references(request, chat, await _earlier(request, chat))))
    gateway = request.app[CURRENT].gateway
    return await ask(request, chat, gateway, gateway.route(chat, caller(request)))


async def input_tokens(request: web.Request) -> web.Response:
    """The count of the provider that would answer; otherwise an estimate, marked by a header."""
    chat = await asked(request, partial(parse_response, dialect=DIALECT, headers=_passed_on(request)))
    known = await _references(request, chat, await _earlier(request, chat))
    gateway = request.app[CURRENT].gateway
    chat = replace(chat, dialect=Responses(known))
    counted = await gateway.count(chat, gateway.route(chat, caller(request)))
    return count_response(counted, _count, lambda: _estimated(chat.body, known), request)


def _count(tokens: int) -> Json:
    return {"object": "response.input_tokens", "input_tokens": tokens}


def _estimated(body: Json, known: Known) -> int:
    """An estimate. Raises BadRequest if the request continues a response that is unknown here."""
    items = known.whole_input(input_items(body), body.get("previous_response_id"))
    there = measured([items, *(body.get(name) for name in ("instructions", "tools", "text"))])
    return -(-there.text_bytes // BYTES_PER_TOKEN) + there.images * IMAGE_TOKENS


async def websocket(request: web.Request) -> web.StreamResponse:
    """Codex tries a WebSocket first if it thinks that this is OpenAI; after a 426 it uses HTTP at once."""
    text = "There is no WebSocket here. Send POST /v1/responses."
    raise GatewayError(
        text, status=426, code="websocket_unsupported", headers={"Upgrade": "HTTP/1.1", "Connection": "Upgrade, close"}
    )


def _passed_on(request: web.Request) -> dict[str, str]:
    named = {name.lower(): value for name, value in request.headers.items()}
    return {name: value for name, value in named.items() if name.startswith(_PASSED) or name in _NAMED}


async def _earlier(request: web.Request, chat: Chat) -> Kept | None:
    """The response that this one continues; None if there is none, or only the provider may know it."""
    id = chat.body.get("previous_response_id")
    kept = await find(request, id) if isinstance(id, str) else None
    if kept is not None and kept.value.get("status") in UNFINISHED:
        text = f"Previous response with id '{id}' is not finished."
        raise BadRequest(text, param="previous_response_id", code="invalid_value")
    return kept


async def _items(request: web.Request, chat: Chat) -> dict[str, KnownItem]:
    wanted = [str(one.get("id")) for one in input_items(chat.body) if one.get("type") == "item_reference"]
    found = {id: await find_item(request, id) for id in wanted}
    return {id: item for id, item in found.items() if item is not None}


async def _references(request: web.Request, chat: Chat, earlier: Kept | None) -> Known:
    """The stored items that the request refers to."""
    known = Known(fresh("resp", request.app[REGISTRY].tag), items=await _items(request, chat))
    if earlier is None:
        return known
    return replace(known, earlier=[*earlier.input, *earlier.output], answered_by=earlier.answered_by)


def _kept(request: web.Request, chat: Chat, earlier: Kept | None, known: Known, made: dict[str, Kept]) -> Known:
    """Stores the response while it is made. made: the responses of this request by ID, as stored last."""
    if chat.body.get("store") is False or not keeps(request):
        return known
    in_background, items = bool(chat.body.get("background")), known.items
    renamed = known.id if in_background and not chat.stream else ""
    before = earlier.followed() if earlier is not None else ()
    if _is_too_large(chat, before, request.app[CURRENT].config.responses.bytes):
        return known

    def keep(response: Json, provider: str) -> bool:
        own = [items[one["id"]].item if one.get("id") in items else one for one in input_items(chat.body)]
        parts = (*before, orjson.dumps(with_ids([one for one in own if one.get("type") != "item_reference"])))
        stored = {**response, "id": renamed} if renamed else response
        theirs = "" if renamed or response["id"] == known.id else provider
        kept = Kept(stored["id"], owner(request), orjson.dumps(stored), parts, theirs, chat.trace.id)
        fits = put(request, kept)
        if renamed and not fits:  # the client waits for it
            kept = replace(kept, response=orjson.dumps({**stored, **_TOO_LARGE}), parts=())
            put(request, kept)
        made[stored["id"]] = kept
        return fits

    return replace(known, stored=True, keep=keep, begun=keep if in_background and chat.stream else None)


def _is_too_large(chat: Chat, before: Sequence[bytes], most: int) -> bool:
    """Whether the input alone is larger than the store. Most bodies are far too small to look further."""
    earlier = sum(map(len, before))
    if earlier + len(chat.raw or b"") <= most:
        return False
    return earlier + len(orjson.dumps(input_items(chat.body))) > most


def _settle(request: web.Request, running: Running, made: dict[str, Kept]) -> None:
    """Stores the end of a background request whose encoder did not make an end."""
    for kept in made.values():
        response = kept.value
        if running.state == "cancelled":
            response |= {"status": "cancelled", "error": None}
        elif running.error is not None and response["status"] in UNFINISHED:
            response |= {"status": "failed", "error": failure(running.error)}
        put(request, replace(kept, response=orjson.dumps(response)))
