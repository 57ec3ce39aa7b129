"""Checks the order of a chat stream's events, and what must have come at its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from .schemas import CHUNK, ERROR, Shape, misfits


@dataclass(frozen=True, slots=True)
class Violation:
    """where: a JSON path; in a stream with the number of the event (`event 3: choices[0].delta`)."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(slots=True)
class _Seen:
    """What came so far for one choice."""

    role: bool = False
    finish: str | None = None
    ids: list[str] = field(default_factory=list)  # indexes of its tool calls


class Order:
    """The order of a stream's events."""

    def __init__(self, shape: Shape, include_usage: bool) -> None:
        self._shape = shape
        self._is_chat = shape is CHUNK
        self._include_usage = include_usage
        self._head: tuple[Any, ...] | None = None
        self._seen: dict[int, _Seen] = {}
        self._usages = 0
        self._last: str = ""  # "done" or "error" after that event
        self._count = 0

    def event(self, number: int, payload: bytes) -> list[Violation]:
        self._count += 1
        return [Violation(f"event {number}{': ' + path if path else ''}", what) for path, what in self._faults(payload)]

    def end(self, *, demands_usage: bool, choices: int | None) -> list[Violation]:
        found = [what for what in self._ending(demands_usage, choices) if what]
        return [Violation("end", what) for what in found]

    def _faults(self, payload: bytes) -> Iterator[tuple[str, str]]:
        if self._last:
            yield "", f"something after the {self._last} event: {payload[:60]!r}"
        if payload.strip() == b"[DONE]":
            self._last = "done"
            if payload != b"[DONE]":
                yield "", f"not exactly [DONE]: {payload!r}"
            return
        try:
            chunk = orjson.loads(payload)
        except orjson.JSONDecodeError:
            yield "", f"not JSON: {payload[:60]!r}"
            return
        if isinstance(chunk, dict) and chunk.get("error"):
            self._last = "error"
            yield from misfits(chunk, ERROR)
            return
        yield from misfits(chunk, self._shape)
        if isinstance(chunk, dict):
            yield from self._chunk(chunk)

    def _chunk(self, chunk: dict[str, Any]) -> Iterator[tuple[str, str]]:
        head = tuple(chunk.get(key) for key in ("id", "created", "model"))
        if self._head is None:
            self._head = head
        if head != self._head:
            yield "", f"id, created or model changed: {head} after {self._head}"
        yield from self._usage(chunk)
        for position, choice in enumerate(choices_of(chunk)):
            for path, what in self._choice(choice):
                yield f"choices[{position}]{path}", what

    def _usage(self, chunk: dict[str, Any]) -> Iterator[tuple[str, str]]:
        if chunk.get("usage") is None:
            if self._usages and chunk.get("choices"):
                yield "", "choices after the usage"
            return
        self._usages += 1
        if not self._include_usage:
            yield "usage", "was not asked for"
        if chunk.get("choices") != []:
            yield "choices", "must be empty beside usage"
        if any(seen.finish is None for seen in self._seen.values()):
            yield "usage", "before every choice has finished"
        yield from ((v.where, v.what) for v in usage_adds_up("usage", chunk))

    def _choice(self, choice: dict[str, Any]) -> Iterator[tuple[str, str]]:
        index = choice.get("index")
        if not isinstance(index, int):
            return
        seen = self._seen.setdefault(index, _Seen())
        if seen.finish is not None:
            yield "", f"after its finish ({seen.finish})"
        if self._is_chat:
            yield from self._delta(choice.get("delta") or {}, seen)
        if choice.get("finish_reason") is not None:
            seen.finish = choice["finish_reason"]
            yield from ((f".{v.where}", v.what) for v in finish_fits("finish_reason", seen.finish, bool(seen.ids)))

    def _delta(self, delta: dict[str, Any], seen: _Seen) -> Iterator[tuple[str, str]]:
        if delta.get("role") is None and not seen.role:
            yield ".delta.role", "missing in the choice's first chunk"
        if delta.get("role") is not None and seen.role:
            yield ".delta.role", "a second time"
        seen.role = True
        for position, call in enumerate(delta.get("tool_calls") or ()):
            for path, what in _call(call, seen.ids):
                yield f".delta.tool_calls[{position}]{path}", what

    def _ending(self, demands_usage: bool, choices: int | None) -> Iterator[str]:
        if not self._count:
            yield "no event at all"
        if not self._last:
            yield "neither [DONE] nor an error event"
        if self._last == "error":
            return
        for index, seen in sorted(self._seen.items()):
            if seen.finish is None:
                yield f"choice {index} has no finish_reason"
        if demands_usage and not self._usages:
            yield "no usage chunk, although it was asked for"
        if self._usages > 1:
            yield f"{self._usages} usage chunks"
        if sorted(self._seen) != list(range(len(self._seen))) or (choices is not None and len(self._seen) != choices):
            yield f"choices {sorted(self._seen)}, expected {choices if choices is not None else 'dense ones'}"


def _call(call: Any, ids: list[str]) -> Iterator[tuple[str, str]]:
    """One tool call delta. New calls come in order, with id, type and name once."""
    index = call.get("index") if isinstance(call, dict) else None
    if not isinstance(index, int) or isinstance(index, bool):
        return  # its shape was reported already
    if index > len(ids):
        yield ".index", f"{index} although only {len(ids)} calls have begun"
    elif index == len(ids):
        yield from _opening(call, ids)
        ids.append(call.get("id") or "")
    elif call.get("id") not in (None, ids[index]):
        yield ".id", f"changed from {ids[index]!r} to {call['id']!r}"


def _opening(call: dict[str, Any], ids: list[str]) -> Iterator[tuple[str, str]]:
    if not call.get("id"):
        yield ".id", "missing in the call's first delta"
    if call.get("id") in ids:
        yield ".id", f"{call['id']!r} is another call's"
    if call.get("type") not in ("function", "custom"):
        yield ".type", f"{call.get('type')!r} in the call's first delta"
    if not (call.get("function") or call.get("custom") or {}).get("name"):
        yield ".function.name", "missing in the call's first delta"


def finish_fits(where: str, finish: Any, called: bool) -> list[Violation]:
    if called and finish == "stop":
        return [Violation(where, "finish_reason is stop although tools were called")]
    if not called and finish == "tool_calls":
        return [Violation(where, "finish_reason is tool_calls although no tool was called")]
    return []


def usage_adds_up(where: str, answer: dict[str, Any]) -> list[Violation]:
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return []
    counts = [usage.get(key) for key in ("prompt_tokens", "completion_tokens", "total_tokens")]
    negative = [n for n in counts if isinstance(n, int) and n < 0]
    return [Violation(where, f"negative counts {counts}")] if negative else []


def choices_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    choices = answer.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
