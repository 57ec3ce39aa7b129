"""Server-sent events: parses events from bytes that are cut anywhere, and renders events. No I/O.

CR, LF and CRLF are all line ends (Gemini and Perplexity send CRLF: recorded). Lines are not split at U+2028 and similar
characters, and have no length limit. Text outside of any field is kept, because Gemini ends a broken stream with a bare JSON
error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import orjson

from llmproxy.core.errors import Malformed

MAX_EVENT = 32 * 1024 * 1024
DONE = b"data: [DONE]\n\n"
PING = b": ping\n"  # one newline: a blank line after a comment makes openai-python dispatch an empty event

_BOM = b"\xef\xbb\xbf"
_FIELDS = frozenset((b"data", b"event", b"id", b"retry", b""))


def frame(chunk: object) -> bytes:
    """One event for an OpenAI client."""
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def event(name: str, data: object, id: int | None = None) -> bytes:
    """One named event for a client of the native interface."""
    number = b"id: %d\n" % id if id is not None else b""
    return b"%sevent: %s\ndata: %s\n\n" % (number, name.encode(), orjson.dumps(data))


class Event(NamedTuple):
    """One event. `data` is empty only if the provider sent a field without a value."""

    data: bytes
    name: bytes = b""


class Events:
    """Takes the bytes of a stream and returns its events. How the bytes were cut makes no difference."""

    __slots__ = (
        "_after_cr", "_fresh", "_max", "_parts", "_size", "_stray",
    )  # fmt: skip

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._parts: list[bytes] = []  # pieces of the open event
        self._size = 0
        self._after_cr = False  # the last byte was a CR, which already counted as a line end
        self._fresh = True  # no event yet: a byte order mark may still come
        self._stray: list[bytes] = []  # lines outside of any field
        self._max = max_event

    def take(self) -> bytes:
        """The bytes of the open event, removed from here; empty if there are too many or they are not available."""
        if not self._parts or self._size > 65536 or self._after_cr or self._fresh:
            return b""
        held = b"".join(self._parts)
        self._parts, self._size = [], 0
        return held

    def keep(self, rest: bytes) -> None:
        """Adds the beginning of an event: bytes without a blank line or CR, when no event is open."""
        self._parts, self._size = [rest], len(rest)

    @property
    def between(self) -> bool:
        """Whether the next byte begins a new event."""
        return not self._parts and not self._after_cr and not self._stray

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that these bytes complete. Raises Malformed for an event above the size limit."""
        if self._after_cr or b"\r" in data:
            data = self._unify(data)
        if not data:
            return
        end = self._parts[-1][-1:] if self._parts else b""
        if b"\n\n" not in end + data:
            self._hold(data)
            return
        *blocks, rest = b"".join((*self._parts, data)).split(b"\n\n")
        self._parts, self._size = [], 0
        for block in blocks:
            if block[:6] == b"data: " and not self._fresh and b"\n" not in block:  # as most are
                yield Event(block[6:])
            else:
                yield from self._parse(block)
        if rest:
            self._hold(rest)

    def finish(self) -> Iterator[Event]:
        """At the end: an event without its blank line, or JSON outside of any event.

        Raises Malformed for other text, for example an HTML page.
        """
        block = b"".join(self._parts)
        last = block[block.rfind(b"\n") + 1 :]
        if b"data:".startswith(last):  # even the field name is incomplete
            block = block.removesuffix(last)
        self._parts, self._size = [], 0
        yield from self._parse(block)
        if self._stray:
            stray = b"\n".join(self._stray)
            self._stray = []
            raise Malformed(f"The provider sent something that is not an event stream ({len(stray)} bytes).")

    def _hold(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._max:
            raise Malformed(f"The provider sent an event larger than {self._max} bytes.", retry_here=False)
        self._parts.append(data)

    def _unify(self, data: bytes) -> bytes:
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            if not data:
                self._after_cr = False
                return data
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _parse(self, block: bytes) -> Iterator[Event]:
        if self._fresh and block:
            self._fresh = False
            block = block.removeprefix(_BOM)
        if block.startswith(b"data: ") and b"\n" not in block:
            yield Event(block[6:])
            return
        name = b""
        data: list[bytes] = []
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            if field not in _FIELDS:
                (data if data and not _is_json(b"\n".join(data)) else self._stray).append(line)
            elif field == b"data":
                data.append(value.removeprefix(b" "))
            elif field == b"event":
                name = value.removeprefix(b" ")
        if data:
            yield Event(b"\n".join(data), name)
        if self._stray:
            yield from self._bare()

    def _bare(self) -> Iterator[Event]:
        """JSON without `data:` before it; older llama.cpp versions send `error: {...}`."""
        stray = b"\n".join(self._stray).strip()
        if stray.startswith(b"error: {"):
            stray = b'{"error":' + stray[6:] + b"}"
        try:
            orjson.loads(stray)
        except orjson.JSONDecodeError:
            if sum(map(len, self._stray)) > self._max:
                raise Malformed("The provider sent something that is not an event stream.") from None
            return
        self._stray = []
        yield Event(stray)


def has_data(block: bytes) -> bool:
    """Whether a block contains an event, and not only comments."""
    return not block.startswith(b":") or b"\ndata:" in block


def _is_json(data: bytes) -> bool:
    """Whether the JSON is complete; if not, it continues in the next line, because some providers write raw line ends into
    strings.
    """
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return data[:1] not in (b"{", b"[")
    return True
