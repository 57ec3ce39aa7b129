"""Translates a Responses request to a chat request, for providers that do not speak Responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.places import Places

from .built_in import BUILT_IN
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
_NAMES: Mapping[str, str] = {
    "messages": "input",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "response_format.json_schema.schema": "text.format.schema",
    "logprobs": "include",
}
# Settings that only OpenAI has and that do not change the question.
_DROPPED = (
    "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "max_tool_calls",
    "context_management", "moderation", "image", "access_programs", "background_options",
)  # fmt: skip


def as_chat(chat: Chat, known: Known) -> Chat:
    """The chat request with its encoder. Raises BadRequest with the path of the wrong member in `param`."""
    body = chat.body
    check_response(body)
    for name, text in _REFUSED.items():
        if body.get(name) is not None:
            raise BadRequest(text, param=name, code="unsupported_parameter")
    if body.get("truncation") not in (None, "auto", "disabled"):
        raise BadRequest("`truncation` must be auto or disabled.", param="truncation", code="invalid_value")
    placed = known.placed_input(input_items(body), body.get("previous_response_id"))
    items = [item for item, _ in placed]
    places = Places(_NAMES)
    settings = {**body, **_merged(body, last_settings(items))}
    table = ToolTable.of(body.get("tools") or (), lifted_tools(items), places)
    messages, unsaid = _messages(body, placed, places)
    request = {
        "model": body.get("model") or chat.model,
        "messages": messages,
        **_parameters(settings),
        **_tools(body, table),
    }
    if chat.stream:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    _add_dropped(chat, [*_dropped(body, table), *unsaid])
    encoder = partial(Encoder, chat, table, known)
    return Chat(request, chat.model, trace=chat.trace, streaming=chat.stream, encoder=encoder, places=places)


def _messages(body: Json, items: list[tuple[Json, str]], places: Places) -> tuple[list[Json], list[str]]:
    """Returns the messages, and the names of what was dropped."""
    given = body.get("instructions")
    first: list[tuple[Json, str]] = []
    if isinstance(given, str) and given:
        first = [({"type": "message", "role": "system", "content": given}, "instructions")]
    elif isinstance(given, list):
        first = [(one, f"instructions[{number}]") for number, one in enumerate(given) if isinstance(one, dict)]
    if isinstance(body.get("input"), str):
        items = [(item, "input" if where == "input[0]" else where) for item, where in items]
    turns = Turns([*first, *items], places)
    # clients try a model with a request that says nothing
    return turns.read() or [{"role": "user", "content": ""}], turns.lost


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


def _dropped(body: Json, table: ToolTable) -> list[str]:
    """The names of members and tools that are dropped."""
    lost = [name for name in _DROPPED if body.get(name) is not None]
    if body.get("truncation") == "auto":
        lost.append("truncation")
    if isinstance(body.get("text"), dict) and body["text"].get("verbosity") is not None:
        lost.append("text.verbosity")
    wanted = body.get("tool_choice")
    if isinstance(wanted, dict) and wanted.get("type") not in ("function", "custom", "allowed_tools", *BUILT_IN):
        lost.append("tool_choice")
    return [*lost, *table.dropped]


def _add_dropped(chat: Chat, names: list[str]) -> None:
    dropped = chat.trace.dropped
    dropped.extend(name for name in names if name not in dropped)
