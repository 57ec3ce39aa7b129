"""Handles events that are not one JSON object: keep-alives as data, several objects, plain text.

All other events that cannot be parsed end the answer with an error, after the content before them. They are never skipped,
because their content is unknown. After the finish they change nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any

from llmproxy.core.chat import Json

_ALIVE = re.compile(
    rb":.*|\W*(?:ping|pong|keep[-_ ]?alive|heart[-_ ]?beat|hb|waiting|processing|comment|null|none|ok|noop|open(?:ed)?"
    rb"|connected|\d+|start(?:ed)?|begin|undefined|[\w ]*(?:processing|waiting|keep[-_ ]?alive|heart[-_ ]?beat))\W*",
    re.IGNORECASE | re.DOTALL,
)
_ALIVE_TYPES = frozenset(("ping", "pong", "keepalive", "keep-alive", "keep_alive", "heartbeat", "comment", "noop"))
NAMES = frozenset(("type", "event", "status"))
_CLOSING = re.compile(rb"\W*(?:done|end|eof|eos|finish(?:ed)?|close[d]?|complete[d]?)\W*", re.IGNORECASE)
_WORDS = 500  # characters of a plain text that are reported
_DECODER = json.JSONDecoder(strict=False)


def is_alive(data: bytes, name: bytes = b"") -> bool:
    """Whether the event only means that the provider is still working."""
    return is_alive_name(name) or _ALIVE.fullmatch(data) is not None


def is_alive_name(name: bytes) -> bool:
    """Whether events with this name only mean that the provider is still working."""
    return name.lower().decode("latin-1") in _ALIVE_TYPES


def is_ping(event: Any) -> bool:
    """The same for an event that is JSON: null, a number, or an object with such a type."""
    if isinstance(event, str):
        return _ALIVE.fullmatch(event.encode("utf-8", "replace")) is not None
    if not isinstance(event, dict):
        return not event or isinstance(event, (int, float))
    if event and NAMES.isdisjoint(event):  # true for nearly every event
        return False
    kind = event.get("type") or event.get("event") or event.get("status")
    return not event or (isinstance(kind, str) and kind.lower() in _ALIVE_TYPES and not event.get("choices"))


def is_done(data: bytes) -> bool:
    """Whether the event marks the end, `[DONE]` in any spelling."""
    return _CLOSING.fullmatch(data) is not None


def several(data: bytes) -> list[bytes]:
    """The objects of an event that contains several, separated by lines or not; empty for anything else."""
    text = data.decode("utf-8", "replace")
    found: list[bytes] = []
    at = 0
    while at < len(text):
        if text[at] in " \t\r\n,":  # JSON's whitespace
            at += 1
        elif text.startswith("data:", at):
            at += 5
        elif text.startswith("[DONE]", at):
            found.append(b"[DONE]")
            at += 6
        elif (end := _end(text, at)) < 0:
            return []
        else:
            found.append(text[at:end].encode())
            at = end
    return found if len(found) > 1 or (found and found[0] != data.strip()) else []


def _end(text: str, at: int) -> int:
    """The end of the object that begins here; -1 if it has none."""
    try:
        return _DECODER.raw_decode(text, at)[1] if text[at] in "{[" else -1
    except (ValueError, RecursionError):
        return -1


def words(data: bytes) -> Json | None:
    """The error in a plain text: a text that begins with a letter and is neither JSON nor HTML."""
    text = data.decode("utf-8", "replace").strip().strip('"')
    return {"message": text[:_WORDS]} if text[:1].isalpha() else None
