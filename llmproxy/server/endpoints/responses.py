"""POST /v1/responses: what it refers to is found, and what is to be kept of the answer is kept."""

from __future__ import annotations

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
from .token_count import told

# What clients tell OpenAI by header. Everything else is between us and the client.
_PASSED = ("openai-", "x-openai-", "x-codex-")
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
    """Passed on to a provider that compacts, with what the request refers to."""
    chat = await asked(request, partial(parse_compact, headers=_passed_on(request)))
    chat = replace(chat, dialect=Compact(await _references(request, chat, await _earlier(request, chat))))
    gateway = request.app[CURRENT].gateway
    return await ask(request, chat, gateway, gateway.route(chat, caller(request)))


async def input_tokens(request: web.Request) -> web.Response:
    """As the provider counts that would answer; an estimate where it does not, which a header says."""
    chat = await asked(request, partial(parse_response, dialect=DIALECT, headers=_passed_on(request)))
    known = await _references(request, chat, await _earlier(request, chat))
    gateway = request.app[CURRENT].gateway
    chat = replace(chat, dialect=Responses(known))
    counted = await gateway.count(chat, gateway.route(chat, caller(request)))
    return told(counted, _count, lambda: _estimated(chat.body, known), request)


def _count(tokens: int) -> Json:
    return {"object": "response.input_tokens", "input_tokens": tokens}


def _estimated(body: Json, known: Known) -> int:
    """Raises BadRequest where the request follows on a response that is not known here."""
    items = known.whole_input(input_items(body), body.get("previous_response_id"))
    there = measured([items, *(body.get(name) for name in ("instructions", "tools", "text"))])
    return -(-there.text_bytes // BYTES_PER_TOKEN) + there.images * IMAGE_TOKENS


async def websocket(request: web.Request) -> web.StreamResponse:
    """Codex tries a WebSocket first where it believes to talk to OpenAI, and takes 426 as the word to use HTTP at once."""
    text = "There is no WebSocket here. Send POST /v1/responses."
    raise GatewayError(text, status=426, code="websocket_unsupported", headers={"Connection": "close"})


def _passed_on(request: web.Request) -> dict[str, str]:
    named = {name.lower(): value for name, value in request.headers.items()}
    return {name: value for name, value in named.items() if name.startswith(_PASSED) or name in _NAMED}


async def _earlier(request: web.Request, chat: Chat) -> Kept | None:
    """The response that this one follows on; None if it follows on none, or on one that only its provider may know."""
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
    """What the request refers to."""
    known = Known(fresh("resp", request.app[REGISTRY].tag), items=await _items(request, chat))
    if earlier is None:
        return known
    return replace(known, earlier=[*earlier.input, *earlier.output], answered_by=earlier.answered_by)


def _kept(request: web.Request, chat: Chat, earlier: Kept | None, known: Known, made: dict[str, Kept]) -> Known:
    """With the response that is made, where it is to be kept. `made`: those that come of the request, by their ids, as they
    were kept last."""
    if chat.body.get("store") is False or not keeps(request):
        return known
    in_background, items = bool(chat.body.get("background")), known.items
    renamed = known.id if in_background and not chat.stream else ""
    before = earlier.followed() if earlier is not None else ()

    def keep(response: Json, provider: str) -> None:
        own = [items[one["id"]].item if one.get("id") in items else one for one in input_items(chat.body)]
        parts = (*before, orjson.dumps(with_ids([one for one in own if one.get("type") != "item_reference"])))
        said = {**response, "id": renamed} if renamed else response
        theirs = "" if renamed or response["id"] == known.id else provider
        made[said["id"]] = Kept(said["id"], owner(request), orjson.dumps(said), parts, theirs, chat.trace.id)
        put(request, made[said["id"]])

    return replace(known, stored=True, keep=keep, begun=keep if in_background and chat.stream else None)


def _settle(request: web.Request, running: Running, made: dict[str, Kept]) -> None:
    """What a request in the background has come to, where its encoder was not asked to say it."""
    for kept in made.values():
        response = kept.value
        if running.state == "cancelled":
            response |= {"status": "cancelled", "error": None}
        elif running.error is not None and response["status"] in UNFINISHED:
            response |= {"status": "failed", "error": failure(running.error)}
        put(request, replace(kept, response=orjson.dumps(response)))
