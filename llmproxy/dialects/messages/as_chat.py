"""Translates a Messages request to a chat request, for providers that do not speak Messages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.places import Places
from llmproxy.wire.tool_names import ChatToolNames

from .client_tools import functions, tool_choice
from .encode_reply import Encoder
from .parts import blocks
from .shape import check_messages
from .tables import NAME, Raw
from .turns import Turns

_REFUSED: Mapping[str, str] = {
    "mcp_servers": "mcp_servers: only Anthropic itself connects to MCP servers, and this model is another provider's",
    "thread": "thread: only Anthropic itself keeps threads, and this model is another provider's",
}
# Settings that only Anthropic has.
_DROPPED = (
    "container", "context_management", "compaction", "service_tier", "speed", "inference_geo", "diagnostics",
    "user_profile_id", "workspace_id", "fallbacks", "billing_policy",
)  # fmt: skip
_NAMES: Mapping[str, str] = {
    "max_completion_tokens": "max_tokens",
    "stop": "stop_sequences",
    "reasoning_effort": "thinking",
    "response_format": "output_config.format",
    "response_format.json_schema.schema": "output_config.format.schema",
    "user": "metadata.user_id",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
}
_LONGEST_USER = 64  # characters of a user ID that OpenAI accepts
_BUDGETS = ((4_096, "low"), (16_384, "medium"))  # fewer thinking tokens than this, and the effort


def as_chat(chat: Chat, named: str = "") -> Chat:
    """The chat request with its encoder. named: the model's name in the answer, if not the provider's.

    Raises BadRequest with the name of the wrong member in `param`.
    """
    body = chat.body
    check_messages(body)
    for name, text in _REFUSED.items():
        if body.get(name):
            raise BadRequest(text, param=name, code="unsupported_parameter")
    lost = [name for name in _DROPPED if body.get(name) is not None]
    if _marks_the_cache(body):
        lost.append("cache_control")
    names = ChatToolNames(str(tool.get("name") or "") for tool in body.get("tools") or ())
    places = Places(_NAMES)
    turns = Turns(lost, names, places=places)
    request: Json = {
        "model": body.get("model") or chat.model,
        "messages": turns.read(body.get("system") or "", body["messages"]),
        **_parameters(body, lost),
        **_tools(body, lost, names, places),
    }
    if chat.stream:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    dropped = chat.trace.dropped
    dropped.extend(dict.fromkeys(name for name in lost if name not in dropped))
    encoder = partial(Encoder, chat, named, names)
    beside = [Raw(NAME, blocks) for blocks in turns.beside]
    return Chat(
        request, chat.model, trace=chat.trace, streaming=chat.stream, encoder=encoder, beside=beside, places=places
    )


def _marks_the_cache(body: Json) -> bool:
    """Whether the request has `cache_control`. Other providers cache by themselves."""
    marked = [body, *blocks(body.get("system")), *(body.get("tools") or ())]
    marked += (block for message in body["messages"] for block in blocks(message["content"]))
    return any(one.get("cache_control") for one in marked)


def _parameters(body: Json, lost: list[str]) -> Json:
    made: Json = {name: body[name] for name in ("temperature", "top_p", "top_k") if body.get(name) is not None}
    if body.get("max_tokens"):
        made["max_completion_tokens"] = body["max_tokens"]
    if stops := [one for one in body.get("stop_sequences") or () if isinstance(one, str) and one]:
        made["stop"] = stops
    if effort := _effort(body):
        made["reasoning_effort"] = effort
    if format := _format(body):
        made["response_format"] = format
    user = (body.get("metadata") or {}).get("user_id")
    if isinstance(user, str) and len(user) <= _LONGEST_USER:
        made["user"] = user
    elif user:
        lost.append("metadata.user_id")
    return made


def _effort(body: Json) -> str:
    """The reasoning effort; empty if the client leaves it to the model."""
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "disabled":
        return ""
    configs = [body.get("output_config"), *(one.get("output_config") for one in body["messages"])]
    efforts = [one["effort"] for one in configs if isinstance(one, dict) and isinstance(one.get("effort"), str)]
    if efforts:
        return "high" if efforts[-1] in ("xhigh", "max") else efforts[-1]
    budget = thinking.get("budget_tokens")
    if thinking.get("type") == "enabled" and isinstance(budget, int):
        return next((effort for most, effort in _BUDGETS if budget < most), "high")
    return ""


def _format(body: Json) -> Json:
    config = body.get("output_config") or {}
    format = config.get("format") or body.get("output_format")
    if not isinstance(format, dict) or format.get("type") != "json_schema":
        return {}
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": format.get("schema") or {}, "strict": True},
    }


def _tools(body: Json, lost: list[str], names: ChatToolNames, places: Places) -> Json:
    offered = functions(body.get("tools") or (), body["messages"], lost, names, places)
    return {"tools": offered, **tool_choice(body.get("tool_choice"), names)} if offered else {}
