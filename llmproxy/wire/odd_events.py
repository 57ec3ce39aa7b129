"""Handles events that are not one JSON object: keep-alives as data, several objects, plain text.

The rule, for what is none of these: an event that cannot be read ends the answer with an error, after all that came before
it. It is never left out, as nobody knows what was in it. Behind the finish it changes nothing.
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
_NAMES = frozenset(("type", "event", "status"))
_CLOSING = re.compile(rb"\W*(?:done|end|eof|eos|finish(?:ed)?|close[d]?|complete[d]?)\W*", re.IGNORECASE)
_WORDS = 500  # characters of a plain text that are told
_DECODER = json.JSONDecoder(strict=False)


def is_alive(data: bytes, name: bytes = b"") -> bool:
    """Whether the event only says that the provider is still there."""
    return is_alive_name(name) or _ALIVE.fullmatch(data) is not None


def is_alive_name(name: bytes) -> bool:
    """Whether events of this name only say that the provider is still there."""
    return name.lower().decode("latin-1") in _ALIVE_TYPES


def is_ping(event: Any) -> bool:
    """The same of an event that is JSON: nothing, a number, or an object of that type."""
    if isinstance(event, str):
        return _ALIVE.fullmatch(event.encode("utf-8", "replace")) is not None
    if not isinstance(event, dict):
        return not event or isinstance(event, (int, float))
    if event and _NAMES.isdisjoint(event):  # as nearly every event is
        return False
    said = event.get("type") or event.get("event") or event.get("status")
    return not event or (isinstance(said, str) and said.lower() in _ALIVE_TYPES and not event.get("choices"))


def is_done(data: bytes) -> bool:
    """Whether the event is a word for the end, `[DONE]` in whatever dress."""
    return _CLOSING.fullmatch(data) is not None


def several(data: bytes) -> list[bytes]:
    """The objects of an event that holds several, one after the other or one in a line; empty if it holds anything else."""
    text = data.decode("utf-8", "replace")
    found: list[bytes] = []
    at = 0
    while at < len(text):
        if text[at] in " \t\r\n,":  # what JSON takes for space, and no other
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
    """Where the object that begins here ends; -1 if none does."""
    try:
        return _DECODER.raw_decode(text, at)[1] if text[at] in "{[" else -1
    except (ValueError, RecursionError):
        return -1


def words(data: bytes) -> Json | None:
    """The error that plain words are: a text that begins with a letter and is neither JSON nor a web page."""
    text = data.decode("utf-8", "replace").strip().strip('"')
    return {"message": text[:_WORDS]} if text[:1].isalpha() else None
