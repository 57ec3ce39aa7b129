"""Whether a provider's whole answer is OpenAI's already, to the letter, so that it may leave as the bytes that came."""

from __future__ import annotations

from typing import Any

from .normalise import FINISHES
from .openai_enums import listed

_REQUIRED = frozenset(("role", "content", "refusal"))
_OTHER_NAMES = frozenset(("reasoning", "reasoning_details"))
_WITH_TOOLS = frozenset(("tool_calls", "length", "content_filter"))


def is_clean(whole: Any) -> bool:
    if not isinstance(whole, dict) or whole.get("error") or whole.get("object") != "chat.completion":
        return False
    if not (whole.get("id") and whole.get("model") and whole.get("created")):
        return False
    choices = whole.get("choices")
    if not listed(whole):
        return False
    if not choices or not isinstance(choices, list) or not isinstance(whole.get("usage", {}), dict):
        return False
    return all(map(_is_clean_choice, choices))


def _is_clean_choice(choice: Any) -> bool:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict) or choice.get("finish_reason") not in FINISHES or "delta" in choice:
        return False
    if not message.keys() >= _REQUIRED or not _OTHER_NAMES.isdisjoint(message) or message["role"] != "assistant":
        return False
    if not isinstance(message["content"], str | None):
        return False
    calls, finish = message.get("tool_calls"), str(choice["finish_reason"])
    return finish in _WITH_TOOLS and all(map(_is_clean_call, calls)) if calls else finish != "tool_calls"


def _is_clean_call(call: Any) -> bool:
    if not isinstance(call, dict) or not all(isinstance(call.get(key), str) and call[key] for key in ("id", "type")):
        return False
    function = call.get("function")
    return function is None or (
        isinstance(function, dict) and all(isinstance(function.get(key), str) for key in ("name", "arguments"))
    )
