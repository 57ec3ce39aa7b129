"""Checks whether a non-streaming answer already conforms to OpenAI's format, so that it can be sent byte for byte."""

from __future__ import annotations

from typing import Any

from .finish_reasons import BROKEN, FINISHES, as_finish
from .normalise.counted import is_usual_logprobs, is_usual_usage
from .normalise.members import is_usual
from .normalise.reasoning import OTHER_NAMES
from .openai_enums import listed

_MEMBERS = frozenset(("id", "object", "created", "model", "choices"))
_OF_CHOICE = frozenset(("index", "message", "finish_reason", "logprobs"))
_REQUIRED = frozenset(("role", "content", "refusal"))
_WITH_TOOLS = frozenset(("tool_calls", "length", "content_filter"))


def is_clean(whole: Any) -> bool:
    """One look at each member. It sees every answer that is not streamed: hence subscripts, which cost less than `get`."""
    if type(whole) is not dict or not whole.keys() >= _MEMBERS or whole["object"] != "chat.completion":
        return False
    if type(whole["id"]) is not str or type(whole["model"]) is not str or type(whole["created"]) is not int:
        return False
    if whole["id"] == "" or whole["model"] == "" or whole["created"] <= 0 or whole.get("error"):
        return False
    if ("service_tier" in whole and not listed(whole)) or ("usage" in whole and not is_usual_usage(whole["usage"])):
        return False
    if "system_fingerprint" in whole and not isinstance(whole["system_fingerprint"], str | None):
        return False
    choices = whole["choices"]
    if not choices or type(choices) is not list:
        return False
    return all(map(_is_clean_choice, choices, range(len(choices))))


def _is_clean_choice(choice: Any, at: int) -> bool:
    if type(choice) is not dict or not choice.keys() >= _OF_CHOICE or "delta" in choice or "usage" in choice:
        return False
    message, finish = choice["message"], choice["finish_reason"]
    if type(message) is not dict or type(finish) is not str or finish not in FINISHES:
        return False
    if "native_finish_reason" in choice and as_finish(choice["native_finish_reason"]) == BROKEN:
        return False
    if type(choice["index"]) is not int or choice["index"] != at:
        return False
    if choice["logprobs"] is not None and not is_usual_logprobs(choice["logprobs"]):
        return False
    if not message.keys() >= _REQUIRED or message["role"] != "assistant" or not OTHER_NAMES.isdisjoint(message):
        return False
    if not is_usual(message):
        return False
    calls = message.get("tool_calls")
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
