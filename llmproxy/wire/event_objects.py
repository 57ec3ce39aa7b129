"""What one event of a provider is: a chunk, a complete answer, an error, or something else."""

from __future__ import annotations

from typing import Any

from llmproxy.core.chat import Json
from llmproxy.core.errors import Malformed

from . import odd_events
from .error_dresses import SIGNS, disguised

_STRANGE = SIGNS | odd_events.NAMES | {"error"}  # members of events that may not be part of an answer


def as_object(parsed: Any, name: bytes = b"", *, own: bool = True) -> Json:
    """The event as an object; errors in any form become `{"error": ...}`. Raises Malformed for anything else.

    own: the event is in OpenAI's form. Events of other dialects have a `type`, which their translator interprets.
    """
    if isinstance(parsed, list) and len(parsed) == 1 and isinstance(parsed[0], dict):
        parsed = parsed[0]  # Google's compatible endpoint sends a list with one error
    if isinstance(parsed, str) and name == b"error":
        return {"error": parsed}
    if not isinstance(parsed, dict):
        raise Malformed("The provider sent an event that is not a JSON object.")
    if parsed.get("error"):
        return parsed
    if name == b"error" or parsed.get("object") == "error":
        return {"error": parsed}
    error = disguised(parsed, by_words=own) if own or "type" not in parsed else None
    return parsed if error is None else {"error": error}


def is_usual(event: Any) -> bool:
    """Whether an event is an object that looks neither like a keep-alive nor like an error in any form."""
    return bool(event) and type(event) is dict and _STRANGE.isdisjoint(event) and event.get("object") != "error"


def has_choices(event: Any) -> bool:
    """Whether an event is an object whose `choices` is not empty."""
    return isinstance(event, dict) and bool(event.get("choices"))


def is_completion(chunk: Json) -> bool:
    """Whether a choice has `message` or `text`, as in a whole answer, where a chunk has `delta`."""
    choices = chunk.get("choices")
    return isinstance(choices, list) and any(
        isinstance(one, dict) and ("message" in one or "text" in one) for one in choices
    )
