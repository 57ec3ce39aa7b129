"""Checks whether a non-streaming answer already conforms to OpenAI's format, so that it can be sent byte for byte."""

from __future__ import annotations

from typing import Any

from .finish_reasons import BROKEN, FINISHES, as_finish
from .normalise.counted import is_usual_logprobs, is_usual_usage
from .normalise.members import is_usual
from .normalise.reasoning import OTHER_NAMES
from .openai_enums import listed

_REQUIRED = frozenset(("role", "content", "refusal"))
_WITH_TOOLS = frozenset(("tool_calls", "length", "content_filter"))


def is_clean(whole: Any) -> bool:
    if not isinstance(whole, dict) or whole.get("error") or whole.get("object") != "chat.completion":
        return False
    if not (_is_named(whole.get("id")) and _is_named(whole.get("model")) and _is_time(whole.get("created"))):
        return False
    if not listed(whole) or not isinstance(whole.get("system_fingerprint"), str | None):
        return False
    choices = whole.get("choices")
    if not choices or not isinstance(choices, list) or ("usage" in whole and not is_usual_usage(whole["usage"])):
        return False
    return all(_is_clean_choice(choice) and choice["index"] == at for at, choice in enumerate(choices))


def _is_named(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_time(value: object) -> bool:
    return type(value) is int and value > 0


def _is_clean_choice(choice: Any) -> bool:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict) or not isinstance(choice.get("finish_reason"), str) or "delta" in choice:
        return False
    if choice["finish_reason"] not in FINISHES or as_finish(choice.get("native_finish_reason")) == BROKEN:
        return False
    if type(choice.get("index")) is not int or "logprobs" not in choice or not is_usual_logprobs(choice["logprobs"]):
        return False
    if not message.keys() >= _REQUIRED or not OTHER_NAMES.isdisjoint(message) or message["role"] != "assistant":
        return False
    if not is_usual(message) or "usage" in choice:
        return False
    calls, finish = message.get("tool_calls"), str(choice["finish_reason"])
    return finish in _WITH_TOOLS and all(map(_is_clean_call, calls)) if calls else finish != "tool_calls"


def _is_clean_call(call: Any) -> bool:
    if not isinstance(call, dict) or not isinstance(call.get("id"), str) or not call["id"]:
        return False
    kind = call.get("type")
    body = call.get(kind) if kind in ("function", "custom") else None
    text = "arguments" if kind == "function" else "input"
    return (
        isinstance(body, dict) and all(isinstance(body.get(key), str) for key in ("name", text)) and body["name"] != ""
    )
