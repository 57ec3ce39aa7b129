"""Validates answers against OpenAI's Responses API: members, events, their order and their sums.

Every check returns a list of `Violation`. Additional members are allowed everywhere; other types of items and events are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from .event_order import Violation
from .named_events import Named, judged, parsed_as
from .response_shapes import DELETED, EVENTS, GROWS, INPUT_ITEMS, ITEMS, OWN_TOOLS, PARTS, RESPONSE, TOKENS, USAGE
from .schemas import misfits

Fault = tuple[str, str]
_ENDS = {f"response.{status}": status for status in ("completed", "incomplete", "failed")}
_SEALS = ("encrypted_content", "fingerprint")
_OPENING = ("response.created", "response.queued", "response.in_progress")


def check_response(body: bytes) -> list[Violation]:
    """A whole response."""
    response, found = parsed_as(body, RESPONSE)
    return found + [Violation(path, what) for path, what in _whole(response)]


def check_response_tokens(body: bytes) -> list[Violation]:
    return parsed_as(body, TOKENS)[1]


def check_deleted_response(body: bytes) -> list[Violation]:
    return parsed_as(body, DELETED)[1]


def check_input_items(body: bytes) -> list[Violation]:
    return parsed_as(body, INPUT_ITEMS)[1]


def check_response_stream(stream: bytes) -> list[Violation]:
    """A whole event stream."""
    return judged(stream, ResponseOrder())


@dataclass(slots=True)
class _Part:
    """A growing part: of a message, of a summary, or the arguments of a call."""

    kind: str
    pieces: list[str] = field(default_factory=list)
    said: str | None = None  # by its `done` event
    closed: bool = False


@dataclass(slots=True)
class _Item:
    index: int
    value: dict[str, Any]
    parts: dict[tuple[str, int], _Part] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return str(self.value.get("type"))


class ResponseOrder:
    """The order of a stream's events: one response, with one item after the other."""

    def __init__(self) -> None:
        self._number = -1
        self._head: tuple[Any, Any] | None = None
        self._open: _Item | None = None
        self._done: list[dict[str, Any]] = []
        self._last = ""  # the event that ended it

    def event(self, event: Named) -> Iterator[Fault]:
        value = event.value
        if value is None:
            if event.data == b"[DONE]" and not self._last:
                yield "", "[DONE] before the response has ended"
            return
        kind = str(value.get("type"))
        if kind == "keepalive":
            yield from self._keepalive(value)
            return
        yield from self._numbered(value)
        if self._last:
            yield "", f"{kind} after {self._last}"
        if kind == "error":
            yield "", "an error event, which some clients do not see: a failure is a response.failed"
        elif self._head is None and kind != "response.created":
            yield "", f"{kind} before response.created"
        if kind.startswith(OWN_TOOLS) or kind == "error":
            return
        if kind not in EVENTS:
            yield "", f"an event of type {kind!r}, which clients do not know"
            return
        yield from misfits(value, EVENTS[kind])
        yield from self._read(kind, value)

    def end(self) -> Iterator[str]:
        if not self._last:
            yield "neither response.completed nor response.incomplete nor response.failed"

    def _numbered(self, value: dict[str, Any]) -> Iterator[Fault]:
        number = value.get("sequence_number")
        if number != self._number + 1:
            yield "sequence_number", f"{number} after {self._number}"
        self._number = number if isinstance(number, int) else self._number + 1

    def _keepalive(self, value: dict[str, Any]) -> Iterator[Fault]:
        """A keep-alive repeats the last sequence number, or has its own."""
        number = value.get("sequence_number")
        if number not in (None, self._number, max(self._number, 0), self._number + 1):
            yield "sequence_number", f"{number} after {self._number}"
        elif isinstance(number, int) and self._number >= 0:
            self._number = number

    def _read(self, kind: str, value: dict[str, Any]) -> Iterator[Fault]:
        stem, _, step = kind.rpartition(".")
        if kind in _OPENING or kind in _ENDS:
            yield from self._response(kind, value.get("response") or {})
        elif kind == "response.output_item.added":
            yield from self._begin(value)
        elif self._open is None:
            yield "", f"{kind} while no item is open"
        elif value.get("output_index") != self._open.index:
            yield "output_index", f"{value.get('output_index')}, the open item is {self._open.index}"
        elif kind == "response.output_item.done":
            yield from self._end_item(self._open, value.get("item") or {})
        else:
            if value.get("item_id") != self._open.value.get("id", value.get("item_id")):
                yield "item_id", f"{value.get('item_id')!r}, the open item is {self._open.value.get('id')!r}"
            yield from self._in_item(self._open, stem, step, value)

    # Events of the response

    def _response(self, kind: str, response: dict[str, Any]) -> Iterator[Fault]:
        head = (response.get("id"), response.get("created_at"))
        if self._head is not None and kind == "response.created":
            yield "", "a second response.created"
        if self._head is not None and head != self._head:
            yield "response", f"id or created_at changed: {head} after {self._head}"
        self._head = head
        if kind in _ENDS:
            self._last = kind
            yield from self._ended(kind, response)
        elif response.get("output"):
            yield "response.output", "has items before any was added"

    def _ended(self, kind: str, response: dict[str, Any]) -> Iterator[Fault]:
        status = response.get("status")
        if status != _ENDS[kind]:
            yield "response.status", f"{status!r} in {kind}"
        yield from ((f"response.{path}", what) for path, what in _whole(response))
        if kind == "response.failed":
            return
        if self._open is not None:
            yield "", f"{kind} while item {self._open.index} is open"
        output = response.get("output")
        if isinstance(output, list) and _comparable(output) != _comparable(self._done):
            yield "response.output", f"{_kinds(output)}, but the items that came are {_kinds(self._done)}"

    # Events of items

    def _begin(self, value: dict[str, Any]) -> Iterator[Fault]:
        if self._open is not None:
            yield "", f"begins while item {self._open.index} is open"
        index, item = value.get("output_index"), value.get("item")
        if index != len(self._done) + (self._open is not None):
            yield "output_index", f"{index}, the next one is {len(self._done)}"
        item = item if isinstance(item, dict) else {}
        yield from _item("item", item)
        for name in ("content", "summary", "arguments", "input"):
            if item.get("type") in ("message", "reasoning", "function_call", "custom_tool_call") and item.get(name):
                yield f"item.{name}", "not empty in an item that begins"
        self._open = _Item(index if isinstance(index, int) else len(self._done), item)

    def _end_item(self, open: _Item, item: dict[str, Any]) -> Iterator[Fault]:
        yield from _item("item", item)
        for name in ("type", "id", "call_id", "name"):
            if item.get(name) != open.value.get(name):
                yield f"item.{name}", f"{item.get(name)!r}, it began with {open.value.get(name)!r}"
        for (member, index), part in open.parts.items():
            yield from _same(f"item.{member}", item, member, index, part)
            if not part.closed and member in ("content", "summary"):
                yield "", f"part {index} of {member} is still open"
        if len(item.get("content") or ()) > len([1 for member, _ in open.parts if member == "content"]):
            yield "item.content", "has parts that never came"
        self._done.append(item)
        self._open = None

    def _in_item(self, open: _Item, stem: str, step: str, value: dict[str, Any]) -> Iterator[Fault]:
        if stem == "response.content_part":
            yield from self._part(open, "content", value.get("content_index"), step, value)
        elif stem == "response.reasoning_summary_part":
            yield from self._part(open, "summary", value.get("summary_index"), step, value)
        elif stem in GROWS:
            yield from self._grow(open, stem, step, value)

    def _part(self, open: _Item, member: str, index: Any, step: str, value: dict[str, Any]) -> Iterator[Fault]:
        part = value.get("part") or {}
        kind = str(part.get("type"))
        if kind not in PARTS:
            yield "part.type", f"{kind!r}, which clients do not know"
            return
        yield from misfits(part, PARTS[kind], "part")
        known = open.parts.get((member, index))
        if step == "done":
            if known is None:
                yield "", f"part {index} of {member} has not begun"
                return
            yield from _text_is("part", _text(part), known)
            known.closed = True
            return
        if index != len([1 for name, _ in open.parts if name == member]):
            yield f"{member}_index", f"{index} is not the next one"
        if any(not other.closed for other in open.parts.values()):
            yield "", "begins while another part is open"
        if _text(part):
            yield "part", "not empty in a part that begins"
        open.parts[member, index] = _Part(kind)

    def _grow(self, open: _Item, stem: str, step: str, value: dict[str, Any]) -> Iterator[Fault]:
        name, kind = GROWS[stem]
        if kind in ITEMS:
            if open.kind != kind:
                yield "", f"{stem} in an item of type {open.kind}"
            part = open.parts.setdefault((name, 0), _Part(kind))
        else:
            member = "summary" if kind == "summary_text" else "content"
            found = open.parts.get((member, value.get(f"{member}_index", -1)))
            if found is None or found.kind != kind or found.closed:
                yield "", f"{stem} without an open part of type {kind}"
                return
            part = found
        if part.said is not None:
            yield "", f"{stem} after its done"
        if step == "delta":
            part.pieces.append(str(value.get("delta", "")))
        elif step == "done":
            yield from _text_is(name, value.get(name), part)
            part.said = str(value.get(name))


def _whole(response: dict[str, Any]) -> Iterator[Fault]:
    """Errors in a finished response."""
    output = response.get("output")
    for position, item in enumerate(output if isinstance(output, list) else ()):
        yield from _item(f"output[{position}]", item)
    status = response.get("status")
    if status == "failed" and not response.get("error"):
        yield "error", "missing although it failed"
    if status == "incomplete" and not response.get("incomplete_details"):
        yield "incomplete_details", "missing although it is incomplete"
    if status in ("completed", "incomplete"):
        yield from misfits(response.get("usage"), USAGE, "usage")


def _item(where: str, item: object) -> Iterator[Fault]:
    kind = str(item.get("type")) if isinstance(item, dict) else ""
    if not isinstance(item, dict) or kind not in ITEMS:
        yield f"{where}.type", f"{kind!r}, which clients do not know"
        return
    yield from misfits(item, ITEMS[kind], where)
    content = item.get("content") if kind == "message" else None
    for position, part in enumerate(content if isinstance(content, list) else ()):
        named = str(part.get("type")) if isinstance(part, dict) else ""
        if named not in ("output_text", "refusal"):
            yield f"{where}.content[{position}].type", f"{named!r}, which clients do not know"
        else:
            yield from misfits(part, PARTS[named], f"{where}.content[{position}]")
    if kind == "function_call" and item.get("status") == "completed" and not _is_object(item.get("arguments")):
        yield f"{where}.arguments", f"no JSON object: {str(item.get('arguments'))[:60]!r}"


def _same(where: str, item: dict[str, Any], member: str, index: int, part: _Part) -> Iterator[Fault]:
    value = item.get(member)
    if member in ("content", "summary"):
        value = value[index] if isinstance(value, list) and index < len(value) else {}
        value = _text(value if isinstance(value, dict) else {})
    yield from _text_is(where, value, part)


def _text_is(where: str, text: object, part: _Part) -> Iterator[Fault]:
    joined = "".join(part.pieces)
    if text != joined:
        yield where, f"{str(text)[:40]!r}, but its pieces are {joined[:40]!r}"


def _text(part: dict[str, Any]) -> str:
    return str(part.get("refusal" if part.get("type") == "refusal" else "text", ""))


def _comparable(items: list[Any]) -> list[Any]:
    """The item without its encrypted content, which OpenAI encrypts anew each time."""
    return [{k: v for k, v in one.items() if k not in _SEALS} if isinstance(one, dict) else one for one in items]


def _kinds(items: list[Any]) -> list[Any]:
    return [item.get("type") if isinstance(item, dict) else item for item in items]


def _is_object(text: object) -> bool:
    try:
        return isinstance(orjson.loads(str(text)), dict)
    except orjson.JSONDecodeError:
        return False
