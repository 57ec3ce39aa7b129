"""Translates a chat request to a Messages request for one model. What the model refuses is changed, or dropped and
named.
"""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.wire.chat_shape import check_chat

from .encode_messages import Conversation
from .encode_parts import text_block
from .encode_thinking import Thinking, encode_thinking, ignored_reasoning
from .encode_tools import encode_choice, encode_tools
from .schema import strict_schema
from .tables import TIERS, MessagesAbilities
from .tool_names import MessagesToolNames, declared

# Members with the same name in Messages.
_PASSED = ("cache_control", "container", "context_management", "inference_geo", "mcp_servers", "speed", "output_config")
_READ = frozenset(
    (
        *_PASSED,
        "model",
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "stop_sequences",
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "web_search_options",
        "reasoning_effort",
        "reasoning",
        "thinking",
        "response_format",
        "output_format",
        "temperature",
        "top_p",
        "top_k",
        "user",
        "safety_identifier",
        "metadata",
        "service_tier",
    )
)
# Values without effect, which are not named when they are dropped.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "store": (False,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "functions": ([],),
}
_AS_JSON = "Answer with one JSON object and nothing else."
_MOST_USER = 512


def encode_messages(chat: Chat, can: MessagesAbilities, *, cache: Json | None = None, shows: bool = True) -> Json:
    """The request's body. cache: adds an automatic cache breakpoint. shows: thoughts that were asked for are shown.

    Raises BadRequest for requests that cannot be translated.
    """
    body, dropped = chat.body, list[str]()
    check_chat(body)
    names = MessagesToolNames(declared(body))
    talk = Conversation(can, names, dropped)
    talk.add_all(body.get("messages"), chat.beside)
    max_tokens = _max_tokens(body) or can.output()
    thinking = encode_thinking(body, can, max_tokens, shows=shows)
    if thinking.thinking.get("type") == "enabled" and talk.thinks_unsigned:
        thinking = Thinking()
    if not thinking.thinking and thinking.effort is None and (ignored := ignored_reasoning(body)):
        dropped.append(ignored)
    talk.end(can.prefill and not thinking.on)
    request: Json = {"model": chat.model, "max_tokens": max_tokens, "messages": talk.messages}
    request |= {name: body[name] for name in _PASSED if body.get(name) is not None}
    if talk.container and "container" not in request:
        request["container"] = talk.container
    if chat.stream:
        request["stream"] = True
    request |= _tools(body, can, names, thinking, dropped)
    system = [*talk.system, *_output(body, can, thinking, request)]
    request |= {"system": system} if system else {}
    request |= {"thinking": thinking.thinking} if thinking.thinking else {}
    request |= _sampling(body, can, thinking, dropped) | _rest(body, dropped)
    if cache is not None and "cache_control" not in request and not _has_mark(request):
        request["cache_control"] = cache
    dropped += [name for name, value in body.items() if name not in _READ and not _has_no_effect(name, value)]
    chat.trace.dropped.extend(name for name in dict.fromkeys(dropped) if name not in chat.trace.dropped)
    return request


def _tools(
    body: Json, can: MessagesAbilities, names: MessagesToolNames, thinking: Thinking, dropped: list[str]
) -> Json:
    tools = encode_tools(body, can, names)
    forced = can.forced and thinking.thinking.get("type") not in ("enabled", "adaptive")
    choice = encode_choice(body, bool(tools), forced, names, dropped)
    return {**({"tools": tools} if tools else {}), **({"tool_choice": choice} if choice else {})}


def _output(body: Json, can: MessagesAbilities, thinking: Thinking, request: Json) -> list[Json]:
    """Effort and output format go to `output_config`. A format that is not possible there is returned as an
    instruction.
    """
    config: Json = dict(request["output_config"]) if isinstance(request.get("output_config"), dict) else {}
    if thinking.effort is not None:
        config.setdefault("effort", thinking.effort)
    instructions = []
    form, schema = body.get("response_format"), _schema(body)
    if schema is not None and can.structured:
        config.setdefault("format", {"type": "json_schema", "schema": strict_schema(schema)})
    elif schema is not None:
        instructions.append(text_block(f"{_AS_JSON} It must follow this JSON schema:\n{_dumped(schema)}"))
    elif isinstance(form, dict) and form.get("type") == "json_object":
        instructions.append(text_block(_AS_JSON))
    if config:
        request["output_config"] = config
    return instructions


def _schema(body: Json) -> Json | None:
    form = body.get("response_format")
    wanted = form.get("json_schema") if isinstance(form, dict) else None
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    own = body.get("output_format")  # its first name in Messages
    if schema is None and isinstance(own, dict):
        schema = own.get("schema")
    return schema if isinstance(schema, dict) else None


def _sampling(body: Json, can: MessagesAbilities, thinking: Thinking, dropped: list[str]) -> Json:
    sampling: Json = {}
    for name, least in (("temperature", 1.0), ("top_p", 0.95)):
        value = body.get(name)
        if not isinstance(value, (int, float)):
            continue
        full = (can.samplers == 0 or (thinking.on and value < least)) or len(sampling) >= can.samplers
        if not full:
            sampling[name] = max(0, min(value, 1))
        elif value != 1:
            dropped.append(name)
    if body.get("top_k") is not None:
        if can.samplers == 0 or thinking.on:
            dropped.append("top_k")
        else:
            sampling["top_k"] = body["top_k"]
    return sampling


def _rest(body: Json, dropped: list[str]) -> Json:
    rest: Json = {}
    stops = body.get("stop", body.get("stop_sequences"))
    if stops := [one for one in ([stops] if isinstance(stops, str) else stops or ()) if str(one).strip()]:
        rest["stop_sequences"] = stops
    metadata = body.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if isinstance(metadata, dict) and metadata.keys() - {"user_id"}:
        dropped.append("metadata")
    user = user or body.get("safety_identifier") or body.get("user")
    if isinstance(user, str) and user:
        rest["metadata"] = {"user_id": user[:_MOST_USER]}
    tier = body.get("service_tier")
    if tier is not None and tier not in TIERS:
        dropped.append("service_tier")
    elif tier is not None:
        rest["service_tier"] = TIERS[tier]
    return rest


def _max_tokens(body: Json) -> int:
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    return int(limit) if isinstance(limit, (int, float)) else 0


def _has_no_effect(name: str, value: Any) -> bool:
    return value is None or any(value == neutral for neutral in _NEUTRAL.get(name, ()))


def _has_mark(request: Json) -> bool:
    """Whether the client set `cache_control` itself."""
    messages = (block for message in request["messages"] for block in message["content"])
    return any("cache_control" in one for one in (*request.get("system", ()), *request.get("tools", ()), *messages))


def _dumped(schema: Json) -> str:
    return orjson.dumps(schema).decode()
