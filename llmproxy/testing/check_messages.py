"""Validates answers against Anthropic's Messages API: members, events, their order.

Every check returns a list of `Violation`. Additional members are allowed everywhere; other types of events, blocks and
deltas are not, because clients fail on unknown ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from .event_order import Violation
from .message_shapes import (
    BLANK,
    BLOCKS,
    DELTAS,
    ENDED,
    ERROR,
    ERROR_TYPES,
    GROWS_BY,
    MESSAGE,
    MODELS,
    STARTED,
    TOKENS,
)
from .named_events import Named, judged, parsed_as
from .schemas import misfits

Fault = tuple[str, str]
_CUT = ("max_tokens", "model_context_window_exceeded", "refusal")  # stop reasons that may cut the arguments of a call


def check_message(body: bytes) -> list[Violation]:
    """A whole message."""
    message, found = parsed_as(body, MESSAGE)
    faults = [*_blocks(message.get("content")), *_stop(message.get("stop_reason"), message.get("content"))]
    return found + [Violation(path, what) for path, what in faults]


def check_message_error(body: bytes, status: int | None = None) -> list[Violation]:
    """`{"type": "error", "error": {"type", "message"}}`; status: the HTTP status, which must match the type."""
    error, found = parsed_as(body, ERROR)
    kind = (error.get("error") or {}).get("type") if not found else None
    wanted = ERROR_TYPES.get(status or 0)
    if kind and wanted and kind != wanted:
        found.append(Violation("error.type", f"{kind} with status {status}, which is {wanted}"))
    return found


def check_message_models(body: bytes) -> list[Violation]:
    """A page of models."""
    page, found = parsed_as(body, MODELS)
    data = page.get("data")
    if found or not isinstance(data, list):
        return found
    ends = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    named = (page["first_id"], page["last_id"])
    return [] if named == ends else [Violation("first_id", f"first and last are {named}, but the list has {ends}")]


def check_message_tokens(body: bytes) -> list[Violation]:
    return parsed_as(body, TOKENS)[1]


def check_message_stream(stream: bytes) -> list[Violation]:
    """A whole event stream."""
    return judged(stream, MessageOrder())


class MessageOrder:
    """The order of a stream's events: one message, with one block after the other."""

    def __init__(self) -> None:
        self._started = False
        self._whole = False  # a whole message came in message_start
        self._content: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None
        self._arguments: list[str] = []
        self._signed = False
        self._unreadable: list[int] = []  # blocks whose arguments are not a JSON object
        self._reason: str | None = None
        self._last = ""  # "message_stop" or "error" after that event

    def event(self, event: Named) -> Iterator[Fault]:
        value = event.value
        if value is None:
            if event.data == b"[DONE]":
                yield "", "[DONE], which Messages does not have"
            return
        kind = value.get("type")
        if self._last and kind != "ping":
            yield "", f"{kind} after {self._last}"
        elif not self._started and kind not in ("message_start", "ping", "error"):
            yield "", f"{kind} before message_start"
        if kind != "ping":
            yield from self._named(str(kind), value)

    def end(self) -> Iterator[str]:
        if not self._last:
            yield "neither message_stop nor an error event"
        if self._last == "message_stop":
            if self._reason is None:
                yield "no message_delta with a stop_reason"
            for _, what in _stop(self._reason, self._content):
                yield what
            if self._unreadable and self._reason not in _CUT:
                yield f"the arguments of blocks {self._unreadable} are no JSON objects"

    def _named(self, kind: str, value: dict[str, Any]) -> Iterator[Fault]:
        if kind == "message_start":
            yield from self._start(value)
        elif kind == "content_block_start":
            yield from self._begin(value)
        elif kind == "content_block_delta":
            yield from self._delta(value)
        elif kind == "content_block_stop":
            yield from self._close(value)
        elif kind == "message_delta":
            yield from self._end_message(value)
        elif kind == "message_stop":
            self._last = kind
            if self._open is not None:
                yield "", "a block is still open"
        elif kind == "error":
            self._last = kind
            yield from misfits(value, ERROR)
        else:
            yield "", f"an event of type {kind!r}, which clients do not know"

    def _start(self, value: dict[str, Any]) -> Iterator[Fault]:
        if self._started:
            yield "", "a second message_start"
        self._started = True
        yield from misfits(value, {"message": STARTED})
        message = value.get("message") or {}
        self._reason = message.get("stop_reason")
        if content := message.get("content"):
            self._content = content
            yield from _blocks(content)
            if self._reason is None:
                yield "message.content", "begins with blocks although it has not ended"

    def _begin(self, value: dict[str, Any]) -> Iterator[Fault]:
        if self._open is not None:
            yield "", "begins while another block is open"
        if value.get("index") != len(self._content):
            yield "index", f"{value.get('index')}, the next one is {len(self._content)}"
        block = value.get("content_block")
        yield from _block("content_block", block)
        block = block if isinstance(block, dict) else {}
        for name, blank in BLANK.get(str(block.get("type")), {}).items():
            if block.get(name) != blank:
                yield f"content_block.{name}", f"{block.get(name)!r}, a block begins with {blank!r}"
        self._open, self._arguments, self._signed = block, [], False
        self._content.append(block)

    def _delta(self, value: dict[str, Any]) -> Iterator[Fault]:
        yield from self._of_the_open_one(value)
        delta = value.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        kind, block = str(delta.get("type")), str((self._open or {}).get("type"))
        if kind not in DELTAS:
            yield "delta.type", f"{kind!r}, which clients do not know"
            return
        yield from misfits(delta, DELTAS[kind], "delta")
        if self._open is not None and kind not in GROWS_BY.get(block, ()):
            yield "delta.type", f"{kind} in a block of type {block}"
        if self._signed:
            yield "", f"{kind} after the signature"
        self._signed = self._signed or kind == "signature_delta"
        self._arguments.append(str(delta.get("partial_json", "")))

    def _close(self, value: dict[str, Any]) -> Iterator[Fault]:
        yield from self._of_the_open_one(value)
        text = "".join(self._arguments)
        if text and not _is_object(text):
            self._unreadable.append(len(self._content) - 1)
        self._open = None

    def _of_the_open_one(self, value: dict[str, Any]) -> Iterator[Fault]:
        if self._open is None:
            yield "", f"{value.get('type')} while no block is open"
        elif value.get("index") != len(self._content) - 1:
            yield "index", f"{value.get('index')}, the open block is {len(self._content) - 1}"

    def _end_message(self, value: dict[str, Any]) -> Iterator[Fault]:
        if self._open is not None:
            yield "", "message_delta while a block is open"
        yield from misfits(value, ENDED)
        self._reason = (value.get("delta") or {}).get("stop_reason")


def _blocks(content: object) -> Iterator[Fault]:
    for position, block in enumerate(content if isinstance(content, list) else ()):
        yield from _block(f"content[{position}]", block)


def _block(where: str, block: object) -> Iterator[Fault]:
    kind = str(block.get("type")) if isinstance(block, dict) else ""
    if kind not in BLOCKS:
        yield f"{where}.type", f"{kind!r}, which clients do not know"
        return
    yield from misfits(block, BLOCKS[kind], where)


def _stop(reason: object, content: object) -> Iterator[Fault]:
    blocks = content if isinstance(content, list) else []
    calls = [block for block in blocks if isinstance(block, dict) and block.get("type") == "tool_use"]
    called = any((call.get("caller") or {}).get("type", "direct") == "direct" for call in calls)
    if reason == "tool_use" and not calls:
        yield "stop_reason", "tool_use although no tool was called"
    elif reason == "end_turn" and called:
        yield "stop_reason", "end_turn although a tool was called"


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
