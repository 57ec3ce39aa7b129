"""Puts messages into the order that Perplexity accepts: system first, then user and assistant alternating, the user last."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmproxy.adapter_kit import BadRequest, Json

_BETWEEN = "\n\n"
_NOTHING = "."  # text of an inserted first user turn


def shaped(messages: list[Json]) -> list[Json]:
    """The messages in that order, each with content; the same list object if nothing had to change."""
    if not messages or _is_in_order(messages):
        return messages
    plain = [_as_text(message, messages) for message in messages]
    system = [one for one in plain if one["role"] == "system"]
    turns = list(_merged(one for one in plain if one["role"] != "system" and one["content"]))
    if not turns:
        raise BadRequest("The messages hold no question.", param="messages")
    if turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": _NOTHING})
    if turns[-1]["role"] == "assistant":
        raise BadRequest(
            "Perplexity does not continue an answer: the last message must be from the user.",
            param="messages",
            code="prefill_not_supported",
        )
    return [*system, *turns]


def _is_in_order(messages: list[Json]) -> bool:
    roles = [message.get("role") for message in messages]
    begin = next((at for at, role in enumerate(roles) if role != "system"), len(roles))
    turns = roles[begin:]
    alternating = all(role == ("assistant" if at % 2 else "user") for at, role in enumerate(turns))
    return alternating and len(turns) % 2 == 1 and all(message.get("content") for message in messages)


def _as_text(message: Json, messages: list[Json]) -> Json:
    """A message as system, user or assistant. Tool calls and their results become text, because the models have no tools."""
    role, content = message.get("role"), message.get("content") or ""
    if role in ("system", "developer"):
        return {**message, "role": "system", "content": content}
    if role in ("tool", "function"):
        return {"role": "user", "content": _joined(f"Result of {_function_name(message, messages)}:", content)}
    if role == "assistant":
        calls = [_call(call) for call in _calls(message)]
        return {"role": "assistant", "content": _joined(content, "\n".join(calls))}
    return {**message, "content": content}


def _calls(message: Json) -> list[Json]:
    calls = message.get("tool_calls")
    old = message.get("function_call")
    found = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    return [*found, {"function": old}] if isinstance(old, dict) else found


def _call(call: Json) -> str:
    function = call.get("function")
    made: Json = function if isinstance(function, dict) else {}
    return f"{made.get('name')}({made.get('arguments') or ''})"


def _function_name(result: Json, messages: list[Json]) -> str:
    """The name of the function whose result this is."""
    id = result.get("tool_call_id")
    for call in (call for message in messages for call in _calls(message)):
        if id and call.get("id") == id:
            return str((call.get("function") or {}).get("name"))
    return str(result.get("name") or "the tool")


def _merged(messages: Iterable[Json]) -> Iterable[Json]:
    last: Json | None = None
    for message in messages:
        if last is not None and last["role"] == message["role"]:
            last = {**last, "content": _joined(last["content"], message["content"])}
            continue
        if last is not None:
            yield last
        last = message
    if last is not None:
        yield last


def _joined(one: Any, other: Any) -> Any:
    """Two contents as one: a string if both are strings, otherwise a list of parts."""
    if not one or not other:
        return one or other
    if isinstance(one, str) and isinstance(other, str):
        return one + _BETWEEN + other
    return [*_parts(one), *_parts(other)]


def _parts(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]
