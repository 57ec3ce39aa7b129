"""Passes a provider's answer on to a client of the same dialect, byte for byte, and reads in it what the gateway must know.

A stream leaves as whole events, so that a keep-alive may be put between any two. What an event means is the dialect's to
say: a subclass looks at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.dialect import Judge
from llmproxy.core.errors import GatewayError, Malformed, Truncated
from llmproxy.core.usage import Usage

from .json_body import parse_lenient
from .sse import MAX_EVENT, Events


class PassThrough:
    """A Translator. Subclasses say in `look` what a parsed event means, and in `whole` what a JSON answer does.

    Set there: `started`, `done`, `usage`, `produced`. Raise what `self.judge(event)` gives for an event that is an error.
    """

    def __init__(self, chat: Chat, judge: Judge) -> None:
        self.chat = chat
        self.judge = judge
        self.usage: Usage | None = None
        self.started = False
        self.done = False
        self.produced = 0
        self._stream = chat.stream
        self._held = b""  # bytes of an event that is not complete
        self._whole: list[bytes] = []
        self._size = 0

    def look(self, event: Json, name: bytes) -> None:
        """What one event says. Raises UpstreamError for one that is an error."""
        raise NotImplementedError

    def whole(self, answer: Json) -> None:
        """What an answer that is one JSON text says. Raises UpstreamError for an error under a good status."""
        raise NotImplementedError

    def failed(self, error: GatewayError) -> bytes | None:
        """The last events of a stream that fails after it began; None: the dialect's own `error_event`."""
        return None

    def feed(self, data: bytes) -> Iterable[bytes]:
        if self.done:
            return ()
        return self._events(data) if self._stream else self._collect(data)

    def finish(self) -> Iterable[bytes]:
        if self.done:
            return
        if not self._stream:
            yield from self._finish_whole()
            return
        if self._held.strip():
            yield from self._events(b"\n\n")  # a last event that lacks its blank line
        if not self.done:
            raise Truncated("The provider's answer ended before it was complete.")

    def _events(self, data: bytes) -> Iterator[bytes]:
        data = self._held + data
        if b"\r" in data:
            data, rest = _line_feeds(data)
        else:
            rest = b""
        cut = data.rfind(b"\n\n") + 2
        if cut < 2:
            self._hold(data + rest)
            return
        block = data[:cut]
        self._hold(data[cut:] + rest)
        yield from self._pass(block)

    def _pass(self, block: bytes) -> Iterator[bytes]:
        """Whole events. What comes before an error is still good, and goes out."""
        begun = at = 0
        while at < len(block):
            stop = block.find(b"\n\n", at) + 2
            if stop < 2:
                stop = len(block)
            for event in Events().feed(block[at:stop]):
                try:
                    self._event(event.data, event.name)
                except GatewayError:
                    if begun < at:
                        yield block[begun:at]
                    raise
            at = stop
            if self.done:
                break
        if begun < at:
            yield block[begun:at]

    def _event(self, data: bytes, name: bytes) -> None:
        if not data.strip() or data.strip() == b"[DONE]":
            return
        parsed: Any = parse_lenient(data)[0]
        if not isinstance(parsed, dict):
            raise Malformed("The provider sent an event that is not a JSON object.")
        self.look(parsed, name)

    def _hold(self, rest: bytes) -> None:
        if len(rest) > MAX_EVENT:
            raise Malformed(f"The provider sent an event larger than {MAX_EVENT} bytes.", retry_here=False)
        self._held = rest

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
            raise Truncated("The provider's answer is cut off, or no JSON.") from error
        if not isinstance(answer, dict):
            raise Malformed("The provider's answer is not a JSON object.")
        self.whole(answer)
        self.started = self.done = True
        yield body


def _line_feeds(data: bytes) -> tuple[bytes, bytes]:
    """With LF as the end of each line. A CR at the end is kept back: its LF may come next."""
    rest = b"\r" if data.endswith(b"\r") else b""
    return data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n"), rest
