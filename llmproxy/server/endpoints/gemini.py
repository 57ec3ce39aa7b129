"""Gemini's own API: answers, counts, vectors and the list of models."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest, GatewayError, ModelNotFound
from llmproxy.core.measure import BYTES_PER_TOKEN, measured
from llmproxy.core.trace import Trace
from llmproxy.dialects.gemini.dialect import AS_LIST, DIALECT
from llmproxy.dialects.gemini.embeddings import parse_embed
from llmproxy.dialects.gemini.request import model_name, parse_counted, parse_generate

from ..context import CURRENT, INTAKE, caller
from ..middleware.body import parsed, read_json
from ..streaming.on_disconnect import leaving
from .answer import answer
from .models import listed
from .token_count import count_response

_PICTURE = 258  # tokens of one picture, as Gemini counts it
_METHODS = ["generateContent", "streamGenerateContent", "countTokens"]
_PAGE = 1000  # models per page, Google's maximum
_EMBEDS = ["embedContent", "batchEmbedContents"]

Reads = Callable[..., Chat]


async def generate(request: web.Request) -> web.StreamResponse:
    return await answer(request, _parse(request, stream=False, dialect=DIALECT))


async def stream(request: web.Request) -> web.StreamResponse:
    """Events with `?alt=sse`, otherwise a JSON array in pieces. A detached answer is stored and sent as a whole."""
    if request.query.get("alt") == "sse":
        return await answer(request, _parse(request, stream=True, dialect=DIALECT))
    return await answer(
        request,
        _parse(request, stream=leaving(request, request.app[CURRENT].config.limits) != "detach", dialect=AS_LIST),
    )


async def embed(request: web.Request) -> web.StreamResponse:
    return await answer(request, partial(parse_embed, model=request.match_info["model"], many=False))


async def embed_many(request: web.Request) -> web.StreamResponse:
    return await answer(request, partial(parse_embed, model=request.match_info["model"], many=True))


async def count(request: web.Request) -> web.Response:
    """The count of the provider that would answer; otherwise an estimate, marked by a header."""
    current = request.app[CURRENT]
    raw = await read_json(request, current.config.server)
    trace = Trace(request[INTAKE].id, int(time.time()))
    parse = partial(parse_counted, model=request.match_info["model"], trace=trace, dialect=DIALECT)
    chat = await parsed(raw, partial(parse, default_model=current.config.default_model))
    counted = await current.gateway.count(chat, current.gateway.route(chat, caller(request)))
    return count_response(counted, lambda tokens: {"totalTokens": tokens}, lambda: _estimated(chat.body), request)


def _estimated(body: Json) -> int:
    there = measured(body)
    return -(-there.text_bytes // BYTES_PER_TOKEN) + there.images * _PICTURE


async def models(request: web.Request) -> web.Response:
    seen = await listed(request)
    ids = seen.ids
    size, start = _whole(request, "pageSize", _PAGE), _whole(request, "pageToken", 0)
    size = min(size or _PAGE, _PAGE)
    more = {"nextPageToken": str(start + size)} if start + size < len(ids) else {}
    return _json({"models": [_model(seen.entry(id)) for id in ids[start : start + size]], **more})


async def model(request: web.Request) -> web.Response:
    wanted = model_name(request.match_info["id"])
    found = (await listed(request)).find(wanted)
    if found is None:
        raise ModelNotFound(f"There is no model {wanted!r}. GET /v1beta/models lists what there is.", param="model")
    return _json(_model(found))


async def nothing(request: web.Request) -> web.StreamResponse:
    """For what Google offers and this gateway does not: an error in Google's form."""
    there = ", ".join([*_METHODS, *_EMBEDS])
    text = f"There is nothing at {request.path}. Offered are models and models/NAME with {there}."
    raise GatewayError(text, status=404, code="unknown_url")


def _parse(request: web.Request, **how: Any) -> Reads:
    return partial(parse_generate, model=request.match_info["model"], **how)


def _model(entry: Json) -> Json:
    known = entry.get("llmproxy") or {}
    uses = entry.get("uses")
    embeds = isinstance(uses, list) and "embeddings" in uses
    chats = not isinstance(uses, list) or "chat" in uses
    members = {
        "name": f"models/{entry['id']}",
        "version": "1",
        "displayName": entry.get("name") if isinstance(entry.get("name"), str) else entry["id"],
        "description": entry.get("description"),
        "inputTokenLimit": known.get("context_length"),
        "outputTokenLimit": known.get("max_output"),
        "thinking": known.get("reasoning"),
    }
    methods = [*(_METHODS if chats else []), *(_EMBEDS if embeds or not chats else [])]
    return {**{k: v for k, v in members.items() if v is not None}, "supportedGenerationMethods": methods}


def _whole(request: web.Request, name: str, otherwise: int) -> int:
    value = request.query.get(name)
    if not value:
        return otherwise
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise BadRequest(f"`{name}` must be a whole number.", param=name, code="invalid_value")
    return int(value)


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
