"""A Messages request as a chat, for a provider that does not speak Messages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest

from .client_tools import functions, tool_choice
from .encode_reply import Encoder
from .shape import check_messages
from .tables import NAME, Raw
from .turns import Turns

_REFUSED: Mapping[str, str] = {
    "mcp_servers": "mcp_servers: only Anthropic itself connects to MCP servers, and this model is another provider's",
    "thread": "thread: only Anthropic itself keeps threads, and this model is another provider's",
}
# What says how Anthropic goes about its work; a chat has no such thing.
_DROPPED = (
    "top_k", "container", "context_management", "compaction", "service_tier", "speed", "inference_geo", "diagnostics",
    "user_profile_id", "workspace_id", "fallbacks", "billing_policy",
)  # fmt: skip
_LONGEST_USER = 64  # characters of a user's id that OpenAI takes
_BUDGETS = ((4_096, "low"), (16_384, "medium"))  # fewer thinking tokens than this, and the effort they are


def as_chat(chat: Chat) -> Chat:
    """The chat, with its encoder. Raises BadRequest, with the member at fault in `param`."""
    body = chat.body
    check_messages(body)
    for name, text in _REFUSED.items():
        if body.get(name):
            raise BadRequest(text, param=name, code="unsupported_parameter")
    lost = [name for name in _DROPPED if body.get(name) is not None]
    turns = Turns(lost)
    asked: Json = {
        "model": body.get("model") or chat.model,
        "messages": turns.read(body.get("system") or "", body["messages"]),
        **_parameters(body, lost),
        **_tools(body, lost),
    }
    if chat.stream:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    dropped = chat.trace.dropped
    dropped.extend(dict.fromkeys(name for name in lost if name not in dropped))
    encoder = partial(Encoder, chat)
    beside = [Raw(NAME, blocks) for blocks in turns.beside]
    return Chat(asked, chat.model, trace=chat.trace, streaming=chat.stream, encoder=encoder, beside=beside)


def _parameters(body: Json, lost: list[str]) -> Json:
    made: Json = {name: body[name] for name in ("temperature", "top_p") if body.get(name) is not None}
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
    """The reasoning effort; empty where the client leaves it to the model."""
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "disabled":
        return ""
    said = [body.get("output_config"), *(one.get("output_config") for one in body["messages"])]
    efforts = [one["effort"] for one in said if isinstance(one, dict) and isinstance(one.get("effort"), str)]
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


def _tools(body: Json, lost: list[str]) -> Json:
    offered = functions(body.get("tools") or (), body["messages"], lost)
    return {"tools": offered, **tool_choice(body.get("tool_choice"), offered)} if offered else {}
