"""Recognises a chunk that is one more piece of a text, of reasoning or of a call's arguments, as most chunks of a stream are.

Such a chunk needs none of the steps here: one look at it takes their place.
"""

from __future__ import annotations

from types import NoneType
from typing import Any

from llmproxy.core.chat import Json
from llmproxy.core.marks import MARK
from llmproxy.wire.openai_enums import SERVICE_TIERS

Piece = tuple[int, str, str, int]
"""The choice's index, the field of its delta, the text, and the call's index, -1 where it is no call."""

_TEXTS = frozenset(("content", "reasoning_content"))
_OF_CHOICES = frozenset(("error", "message", "usage", "native_finish_reason", MARK))  # members that say something else


def piece_of(chunk: Json) -> Piece | None:
    """The one piece that a chunk is; None if it has more than that, or less."""
    try:
        (choice,) = chunk["choices"]
        index, delta = choice["index"], choice["delta"]
        if choice["finish_reason"] is not None or type(index) is not int or not _OF_CHOICES.isdisjoint(choice):
            return None
        if ("logprobs" in choice and choice["logprobs"] is not None) or (
            "usage" in chunk and chunk["usage"] is not None
        ):
            return None
        return _arguments(index, delta) if "tool_calls" in delta else _text(index, delta)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _text(index: int, delta: Json) -> Piece | None:
    """A text; reasoning may have its details beside."""
    if "reasoning_details" in delta:
        field, text = "reasoning_content", delta["reasoning_content"]
        (detail,) = delta["reasoning_details"]
        if len(delta) != 2 or type(delta["reasoning_details"]) is not list or type(detail) is not dict:
            return None
    else:
        ((field, text),) = delta.items()
    return (index, field, text, -1) if type(text) is str and text and field in _TEXTS else None


def _arguments(index: int, delta: Json) -> Piece | None:
    ((_, calls),) = delta.items()
    (call,) = calls
    number, function = call["index"], call["function"]
    text: Any = function["arguments"]
    exact = len(call) == 2 and len(function) == 1 and type(calls) is list
    return (index, "tool_calls", text, number) if exact and type(number) is int and type(text) is str and text else None


def is_usual_around(chunk: Json) -> bool:
    """Whether the members of a chunk around its choices have OpenAI's types and words, and no error is among them."""
    if chunk.get("error"):
        return False
    if "service_tier" in chunk and chunk["service_tier"] not in SERVICE_TIERS:
        return False
    if "system_fingerprint" in chunk and type(chunk["system_fingerprint"]) not in (str, NoneType):
        return False
    return "created" not in chunk or type(chunk["created"]) in (int, NoneType)
