"""A Responses request as a chat, for a provider that does not speak Responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest

from .encode_reply import Encoder
from .known import Known
from .request import input_items
from .shape import check_response
from .tools import ToolTable, choice
from .turns import Turns, last_settings, lifted_tools

_SAME = ("temperature", "top_p", "user", "service_tier")
_REFUSED: Mapping[str, str] = {
    "prompt": "Prompts by id are kept by OpenAI, and this model's provider does not know them. Send the text as `input`.",
    "conversation": "Conversations by id are not kept here. Send the items as `input`, or `previous_response_id`.",
}
# What says how OpenAI goes about its work, and changes nothing in what is asked.
_DROPPED = (
    "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "max_tool_calls",
    "context_management", "moderation", "image", "access_programs", "background_options",
)  # fmt: skip


def as_chat(chat: Chat, known: Known) -> Chat:
    """The chat, with its encoder. Raises BadRequest, with the member at fault in `param`."""
    body = chat.body
    check_response(body)
    for name, text in _REFUSED.items():
        if body.get(name) is not None:
            raise BadRequest(text, param=name, code="unsupported_parameter")
    items = known.whole_input(input_items(body), body.get("previous_response_id"))
    before = len(known.earlier or ())
    settings = {**body, **_merged(body, last_settings(items))}
    table = ToolTable.of([*(body.get("tools") or ()), *lifted_tools(items)])
    asked = {
        "model": body.get("model") or chat.model,
        "messages": _messages(body, items, before),
        **_parameters(settings),
        **_tools(body, table),
    }
    if chat.stream:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    _note(chat, _lost(body, table))
    encoder = partial(Encoder, chat, table, known)
    return Chat(asked, chat.model, trace=chat.trace, streaming=chat.stream, encoder=encoder)


def _messages(body: Json, items: list[Json], before: int) -> list[Json]:
    given = body.get("instructions")
    first: list[Json] = []
    if isinstance(given, str) and given:
        first = [{"type": "message", "role": "system", "content": given}]
    elif isinstance(given, list):
        first = [one for one in given if isinstance(one, dict)]
    messages = Turns([*first, *items], before + len(first)).read()
    if not messages:
        messages = [{"role": "user", "content": ""}]  # what asks for nothing still asks: clients try a model so
    return messages


def _merged(body: Json, later: Json) -> Json:
    return {name: {**(body.get(name) or {}), **value} for name, value in later.items()}


def _parameters(settings: Json) -> Json:
    made: Json = {name: settings[name] for name in _SAME if settings.get(name) is not None}
    for name, read in _READ.items():
        if settings.get(name) is not None:
            made |= read(settings[name])
    return made


def _reasoning(reasoning: Json) -> Json:
    effort = reasoning.get("effort")
    return {"reasoning_effort": effort} if isinstance(effort, str) else {}


def _text(text: Json) -> Json:
    format = text.get("format")
    kind = format.get("type") if isinstance(format, dict) else None
    if kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    if kind != "json_schema":
        return {}
    assert isinstance(format, dict)
    schema = {
        name: format[name] for name in ("name", "description", "schema", "strict") if format.get(name) is not None
    }
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", **schema}}}


def _logprobs(many: object) -> Json:
    return {"logprobs": True, "top_logprobs": many} if isinstance(many, int) and many > 0 else {}


def _included(include: object) -> Json:
    return {"logprobs": True} if isinstance(include, list) and "message.output_text.logprobs" in include else {}


_READ: Mapping[str, Callable[..., Json]] = {
    "max_output_tokens": lambda most: {"max_completion_tokens": most},
    "reasoning": _reasoning,
    "text": _text,
    "include": _included,
    "top_logprobs": _logprobs,
}


def _tools(body: Json, table: ToolTable) -> Json:
    wanted = choice(body.get("tool_choice"), table)
    if not table.offered:
        return {}
    made: Json = {"tools": table.offered}
    if wanted is not None:
        made["tool_choice"] = wanted
    if body.get("parallel_tool_calls") is False:
        made["parallel_tool_calls"] = False
    return made


def _lost(body: Json, table: ToolTable) -> list[str]:
    """The names of what cannot be carried."""
    lost = [name for name in _DROPPED if body.get(name) is not None]
    if body.get("truncation") == "auto":
        lost.append("truncation")
    if isinstance(body.get("text"), dict) and body["text"].get("verbosity") is not None:
        lost.append("text.verbosity")
    wanted = body.get("tool_choice")
    if isinstance(wanted, dict) and wanted.get("type") not in ("function", "custom", "allowed_tools"):
        lost.append("tool_choice")
    return [*lost, *table.dropped]


def _note(chat: Chat, names: list[str]) -> None:
    dropped = chat.trace.dropped
    dropped.extend(name for name in names if name not in dropped)
