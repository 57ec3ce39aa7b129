"""Event streams whose events have names, as Messages and Responses send them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from .event_order import Violation


@dataclass(frozen=True, slots=True)
class Named:
    """One event. `value` is None for [DONE] and for what is no JSON object."""

    number: int
    name: str
    data: bytes
    value: dict[str, Any] | None


def named_events(stream: bytes) -> tuple[list[Named], list[Violation]]:
    """The events, and what is wrong with their frames.

    Allowed is `event: NAME` and `data: JSON`, in either order, and a blank line; comments; [DONE] without a name.
    """
    events: list[Named] = []
    found: list[Violation] = []
    *blocks, rest = stream.split(b"\n\n")
    if rest.strip(b"\n"):
        found.append(Violation("end", f"the stream ends inside an event: {rest[:60]!r}"))
    for block in blocks:
        lines = [line for line in block.split(b"\n") if not line.startswith(b":")]
        if not any(lines):
            continue
        event = _event(len(events), lines)
        where = f"event {event.number}"
        found += [Violation(where, what) for what in _frame_faults(lines, event)]
        events.append(event)
    return events, found


def _event(number: int, lines: list[bytes]) -> Named:
    name, data = b"", b""
    for line in lines:
        field, _, text = line.partition(b":")
        if field == b"event":
            name = text.removeprefix(b" ")
        elif field == b"data":
            data = text.removeprefix(b" ")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = None
    return Named(number, name.decode(errors="replace"), data, value if isinstance(value, dict) else None)


def _frame_faults(lines: list[bytes], event: Named) -> Iterator[str]:
    if any(b"\r" in line for line in lines):
        yield "a carriage return"
    if event.data == b"[DONE]":
        return
    fields = [line.partition(b":")[0] for line in lines]
    if b"event" not in fields:
        yield "no event: line"
    elif sorted(fields) != [b"data", b"event"]:
        yield f"its lines are {b', '.join(fields).decode(errors='replace')}"
    if event.value is None:
        yield f"not a JSON object: {event.data[:60]!r}"
    elif event.name and event.value.get("type") != event.name:
        yield f"named {event.name}, but its type is {event.value.get('type')!r}"
