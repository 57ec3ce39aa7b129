"""Reads event streams with event names, as in Messages and Responses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from .event_order import Violation
from .schemas import Shape, misfits


@dataclass(frozen=True, slots=True)
class Named:
    """One event. value: its JSON object; None for [DONE] and for anything else."""

    number: int
    name: str
    data: bytes
    value: dict[str, Any] | None


def named_events(stream: bytes) -> tuple[list[Named], list[Violation]]:
    """The events, and errors in their framing.

    Allowed are `event: NAME` and `data: JSON`, in either order, and a blank line; comments; [DONE] without a name.
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


class Order(Protocol):
    """Checks the events of a stream in order: `(path, error)` for each, and what is missing at the end."""

    def event(self, event: Named) -> Iterator[tuple[str, str]]: ...

    def end(self) -> Iterator[str]: ...


def judged(stream: bytes, order: Order) -> list[Violation]:
    """All errors in a whole stream."""
    events, found = named_events(stream)
    for event in events:
        where = f"event {event.number}"
        found += [Violation(f"{where}: {path}" if path else where, what) for path, what in order.event(event)]
    return found + [Violation("end", what) for what in order.end()]


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


def parsed_as(body: bytes, shape: Shape) -> tuple[dict[str, Any], list[Violation]]:
    """A whole answer as an object (empty if it is not one), and how it differs from the shape."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return {}, [Violation("body", f"not JSON ({error}): {body[:60]!r}")]
    found = [Violation(path or "body", what) for path, what in misfits(value, shape)]
    return (value if isinstance(value, dict) else {}), found
