"""POST /v1/messages and /v1/messages/count_tokens: Anthropic's Messages."""

from __future__ import annotations

import time
from functools import partial

import orjson
from aiohttp import web

from llmproxy.core.trace import Trace
from llmproxy.dialects.messages.asked_name import compares
from llmproxy.dialects.messages.count import estimated
from llmproxy.dialects.messages.dialect import AS_ASKED, DIALECT
from llmproxy.dialects.messages.request import parse_counted, parse_messages

from ..context import CURRENT, INTAKE, caller
from ..middleware.body import parsed, read_json
from .answer import answer
from .model_lists import SeenList
from .token_count import count_response

_VERSION = "2023-06-01"  # a version that every provider knows
_PASSED = ("anthropic-version", "anthropic-beta")


async def create(request: web.Request) -> web.StreamResponse:
    dialect = AS_ASKED if compares(request.headers.get("User-Agent", "")) else DIALECT
    return await answer(request, partial(parse_messages, dialect=dialect, headers=_passed_on(request)))


async def count_tokens(request: web.Request) -> web.Response:
    """The count of the provider that would answer; otherwise an estimate, marked by a header.

    Raises GatewayError as a message would: nothing is counted for an unknown model.
    """
    current = request.app[CURRENT]
    raw = await read_json(request, current.config.server)
    trace = Trace(request[INTAKE].id, int(time.time()))
    parse = partial(parse_counted, trace=trace, dialect=DIALECT, headers=_passed_on(request))
    chat = await parsed(raw, partial(parse, default_model=current.config.default_model))
    counted = await current.gateway.count(chat, current.gateway.route(chat, caller(request)))
    return count_response(counted, lambda tokens: {"input_tokens": tokens}, lambda: estimated(chat.body), request)


async def hello(request: web.Request) -> web.Response:
    """The connection check of Claude Code."""
    return web.Response()


def _passed_on(request: web.Request) -> dict[str, str]:
    named = {name: request.headers[name] for name in _PASSED if name in request.headers}
    return {"anthropic-version": _VERSION, **named}


def listed(seen: SeenList, query: dict[str, str]) -> bytes:
    """The model list in Anthropic's form: one page of `limit` models, after `after_id` or before `before_id`."""
    ids = seen.ids
    limit = min(1000, max(1, int(query["limit"]))) if query.get("limit", "").isdigit() else 20
    after, before = query.get("after_id"), query.get("before_id")
    begin = ids.index(after) + 1 if after in ids else 0
    end = ids.index(before) if before in ids else len(ids)
    if before in ids:
        begin = max(begin, end - limit)
    page = [_model(seen.entry(id)) for id in ids[begin : min(end, begin + limit)]]
    more = begin > 0 if before in ids else begin + limit < end
    edges = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return orjson.dumps({"data": page, "has_more": more, **edges})


def one(entry: dict[str, object]) -> bytes:
    """One model in Anthropic's form."""
    return orjson.dumps(_model(entry))


def _model(entry: dict[str, object]) -> dict[str, object]:
    created = entry.get("created")
    at = time.gmtime(created if isinstance(created, int) else 0)
    about = entry.get("llmproxy")
    known = about if isinstance(about, dict) else {}
    sizes = {"max_input_tokens": known.get("context_length"), "max_tokens": known.get("max_output")}
    return {
        "type": "model",
        "id": entry["id"],
        "display_name": entry["id"],
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", at),
        **{name: size for name, size in sizes.items() if size},
    }
