"""Watches the answer of Gemini itself: it is passed on as it came, and read for what the gateway must know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llmproxy.core.chat import Chat, Json
from llmproxy.core.dialect import Judge
from llmproxy.core.errors import GatewayError
from llmproxy.core.usage import Usage
from llmproxy.wire.pass_through import PassThrough

from .array import Array
from .fields import an_object, words
from .tables import gemini_end
from .usage import gemini_counts, gemini_usage


class Watched(PassThrough):
    """Finds usage, start, end and errors. as_list: the client asked for a stream as one JSON array.

    No event of Gemini's is the last one by what it says: an answer may go on after a finish, so its end is the stream's.
    """

    def __init__(self, chat: Chat, judge: Judge, *, as_list: bool = False) -> None:
        super().__init__(chat, judge)
        self._array = Array() if as_list else None
        self._finished = False

    def feed(self, data: bytes) -> Iterable[bytes]:
        given = super().feed(data)
        return given if self._array is None or not self._stream else self._array.entries(given)

    def finish(self) -> Iterable[bytes]:
        if not self._stream:
            yield from self._wrapped()
        elif self._array is None:
            yield from self._rest()
        else:
            yield from self._array.entries(self._rest())
            yield self._array.end()

    def failed(self, error: GatewayError) -> bytes | None:
        return self._array.failed(error) if self._array is not None else None

    def _rest(self) -> Iterator[bytes]:
        if b"".join(self._held).strip():
            yield from self._last_event()
        self.done = self._finished
        yield from super().finish()

    def look(self, event: Json, name: bytes) -> None:
        if event.get("error"):
            raise self.judge(event)
        self._read(event)

    def whole(self, answer: Json) -> None:
        self.look(answer, b"")

    def _wrapped(self) -> Iterator[bytes]:
        for body in super().finish():
            yield b"[" + body + b"]" if self._array is not None else body

    def _read(self, event: Json) -> None:
        metadata = an_object(event.get("usageMetadata"))
        if gemini_counts(metadata):
            self.usage = Usage.parse(an_object(gemini_usage(metadata).get("usage")))
        if an_object(event.get("promptFeedback")).get("blockReason"):
            self.started = self._finished = True
        candidates = event.get("candidates")
        for candidate in candidates if isinstance(candidates, list) else ():
            self._candidate(an_object(candidate))

    def _candidate(self, candidate: Json) -> None:
        parts = an_object(candidate.get("content")).get("parts")
        for part in parts if isinstance(parts, list) else ():
            text = words(an_object(part).get("text"))
            self.produced += len(text)
            self.started = self.started or bool(text) or not an_object(part).keys() <= {"text", "thoughtSignature"}
        if gemini_end(candidate.get("finishReason")):
            self.started = self._finished = True
