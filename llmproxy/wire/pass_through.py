"""Passes an answer through byte for byte to a client of the same dialect, and reads usage, finish and errors.

A stream is sent as whole events, so that a keep-alive can be put between any two of them. Subclasses know what an event of
their dialect means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.dialect import Judge
from llmproxy.core.errors import GatewayError, Malformed, Truncated, UpstreamError
from llmproxy.core.usage import Usage

from .event_pattern import EventPattern
from .json_body import parse_lenient
from .sse import MAX_EVENT, Events, has_data

_IN_VAIN = 4  # patterns in a row that were learned and never matched
_NOW_AND_THEN = 64  # plain events between two attempts to learn


class PassThrough:
    """A Translator. Subclasses implement `look` for parsed events and `whole` for a JSON answer.

    They set `started`, `done`, `usage`, `produced`, and raise `self.judge(event)` for an event that is an error. `last` is the
    last block of whole events that was returned; comments alone do not count.
    """

    def __init__(self, chat: Chat, judge: Judge) -> None:
        self.chat = chat
        self.judge = judge
        self.usage: Usage | None = None
        self.started = False
        self.done = False
        self.produced = 0
        self.last = b""
        self._pattern: EventPattern | None = None
        self._learnt_in_vain = 0  # plain events since one that matched
        self._stream = chat.stream
        self._held: list[bytes] = []  # pieces of an incomplete event
        self._cr = b""
        self._whole: list[bytes] = []
        self._size = 0

    def look(self, event: Json, name: bytes) -> None:
        """Reads one event. Raises UpstreamError for an event that is an error."""
        raise NotImplementedError

    def whole(self, answer: Json) -> None:
        """Reads an answer that is one JSON text. Raises UpstreamError for an error with a success status."""
        raise NotImplementedError

    def plain(self, event: Json, name: bytes) -> str:
        """The name of the member with the text, if the event has only text; empty for an event with more. Events of the same
        form are then not parsed.
        """
        return ""

    def passed_plain(self, block: bytes) -> None:
        """Called for whole events that were not parsed: they equal the last plain event except for text, numbers and padding."""

    def failed(self, error: GatewayError) -> bytes | None:
        """The last events of a stream that fails after it began; None: use the dialect's own `error_event`."""
        return None

    def feed(self, data: bytes) -> Iterable[bytes]:
        if self.done:
            return ()
        if not self._stream:
            return self._collect(data)
        if self._pattern is not None and not self._held and data.endswith(b"\n\n") and self._is_plain(data):
            self.last = data
            return (data,)
        return self._events(data)

    def finish(self) -> Iterable[bytes]:
        if self.done:
            return
        if not self._stream:
            yield from self._finish_whole()
            return
        if b"".join(self._held).strip():
            yield from self._last_event()
        if not self.done:
            raise Truncated("The provider's answer ended before it was complete.")

    def _last_event(self) -> Iterator[bytes]:
        """An event without its blank line: complete, or cut."""
        try:
            yield from self._events(b"\n\n")
        except Malformed as error:
            raise Truncated("The provider's answer is cut off inside an event.") from error

    def _events(self, data: bytes) -> Iterator[bytes]:
        if self._cr or b"\r" in data:
            data = self._line_feeds(data)
        if b"\n\n" not in self._held[-1][-1:] + data if self._held else b"\n\n" not in data:
            self._hold(data)
            return
        data = b"".join((*self._held, data))
        cut = data.rfind(b"\n\n") + 2
        self._held, self._size = [], 0
        if cut < len(data):
            self._hold(data[cut:])
        yield from self._pass(data[:cut])

    def _line_feeds(self, data: bytes) -> bytes:
        """Converts all line ends to LF. A CR at the end is kept back, because its LF may follow."""
        data = self._cr + data
        self._cr = b"\r" if data.endswith(b"\r") else b""
        return data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _pass(self, block: bytes) -> Iterator[bytes]:
        """Returns whole events. Events before an error are still valid and are sent."""
        if self._is_plain(block):
            self.last = block
            yield block
            return
        at, failure = 0, None
        while at < len(block) and not self.done and failure is None:
            stop = block.find(b"\n\n", at) + 2
            stop = len(block) if stop < 2 else stop
            try:
                self._one(block[at:stop])
                at = stop
            except UpstreamError as error:
                failure = error
        if at:
            given = block[:at]
            self.last = given if has_data(given) else self.last
            yield given
        if failure is not None:
            raise failure

    def _is_plain(self, block: bytes) -> bool:
        text = self._pattern.text_in(block) if self._pattern is not None else -1
        if text < 0:
            return False
        self._learnt_in_vain = 0
        self.produced += text
        self.passed_plain(block)
        return True

    def grew(self, text: object) -> None:
        """Counts a piece of the answer in `produced`, in UTF-8 bytes. Only text counts."""
        if isinstance(text, str):
            self.produced += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))

    def _one(self, event: bytes) -> None:
        if self._is_plain(event):
            return
        for data, name in Events().feed(event):
            if not data.strip() or data.strip() == b"[DONE]":
                continue
            parsed, exact = parse_lenient(data)
            if not isinstance(parsed, dict):
                raise Malformed("The provider sent an event that is not a JSON object.")
            self.look(parsed, name)
            if exact and (member := self.plain(parsed, name)) and self._may_learn():
                self._pattern = EventPattern.learn(event, member)

    def _may_learn(self) -> bool:
        """Whether to learn a new pattern. Learning costs as much as parsing many events. If each event looks different
        (Copilot's IDs change with every event, recorded), it is tried only now and then.
        """
        self._learnt_in_vain += 1
        return self._learnt_in_vain <= _IN_VAIN or self._learnt_in_vain % _NOW_AND_THEN == 0

    def _hold(self, rest: bytes) -> None:
        self._size += len(rest)
        if self._size > MAX_EVENT:
            raise Malformed(f"The provider sent an event larger than {MAX_EVENT} bytes.", retry_here=False)
        self._held.append(rest)

    def _collect(self, data: bytes) -> Iterable[bytes]:
        self._size += len(data)
        if self._size > 4 * MAX_EVENT:
            raise Malformed("The provider's answer is too large.", retry_here=False)
        self._whole.append(data)
        return ()

    def _finish_whole(self) -> Iterator[bytes]:
        body = b"".join(self._whole)
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Truncated("The provider's answer is cut off, or not JSON.") from error
        if not isinstance(answer, dict):
            raise Malformed("The provider's answer is not a JSON object.")
        self.whole(answer)
        self.started = self.done = True
        yield body
