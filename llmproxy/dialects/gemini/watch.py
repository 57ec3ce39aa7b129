"""Watches an answer of Gemini itself. The bytes are passed on; usage, start, end and errors are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.dialect import Judge
from llmproxy.core.errors import GatewayError
from llmproxy.core.usage import Usage
from llmproxy.wire.pass_through import PassThrough
from llmproxy.wire.sse import Events

from .array import Array
from .fields import an_object, words
from .tables import gemini_end
from .usage import gemini_counts, gemini_usage

# Members of an event, a candidate and a part that has only text and counts.
_OF_EVENTS = frozenset(("candidates", "usageMetadata", "modelVersion", "responseId", "createTime"))
_OF_PIECES = frozenset(("content", "index"))
_TEXT_ONLY = frozenset(("text", "thought"))


class Watched(PassThrough):
    """Finds usage, start, end and errors. as_list: the client asked for a stream as one JSON array.

    No event of Gemini's is marked as the last: an answer may go on after a finish reason, so it ends with the stream.
    """

    def __init__(self, chat: Chat, judge: Judge, *, as_list: bool = False) -> None:
        self._unread = b""  # plain events; the counts of the last one are not parsed yet
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

    @property
    def usage(self) -> Usage | None:
        """Google sends new counts with every event and the last ones count, so they are parsed when they are asked for."""
        if self._unread:
            block, self._unread = self._unread, b""
            last = block[block.rfind(b"\n\n", 0, -2) + 2 :] if block.count(b"\n\n") > 1 else block
            for event in Events().feed(last):
                self._count(orjson.loads(event.data))
        return self._usage

    @usage.setter
    def usage(self, usage: Usage | None) -> None:
        self._usage = usage

    def look(self, event: Json, name: bytes) -> None:
        self._unread = b""
        if event.get("error"):
            raise self.judge(event)
        self._read(event)

    def plain(self, event: Json, name: bytes) -> str:
        """Whether the event only continues the text of one candidate."""
        candidates = event.get("candidates")
        if not self.started or not isinstance(candidates, list) or len(candidates) != 1:
            return ""
        content = an_object(an_object(candidates[0]).get("content"))
        parts = content.get("parts")
        alone = isinstance(parts, list) and len(parts) == 1 and an_object(parts[0]).keys() <= _TEXT_ONLY
        return "text" if alone and not event.keys() - _OF_EVENTS and candidates[0].keys() <= _OF_PIECES else ""

    def passed_plain(self, block: bytes) -> None:
        self._unread = block

    def whole(self, answer: Json) -> None:
        self.look(answer, b"")

    def _wrapped(self) -> Iterator[bytes]:
        for body in super().finish():
            yield b"[" + body + b"]" if self._array is not None else body

    def _read(self, event: Json) -> None:
        self._count(event)
        if an_object(event.get("promptFeedback")).get("blockReason"):
            self.started = self._finished = True
        candidates = event.get("candidates")
        for candidate in candidates if isinstance(candidates, list) else ():
            self._candidate(an_object(candidate))

    def _count(self, event: Json) -> None:
        metadata = an_object(event.get("usageMetadata"))
        if gemini_counts(metadata):
            self._usage = Usage.parse(an_object(gemini_usage(metadata).get("usage")))

    def _count_call(self, call: Json) -> None:
        """A call's name and arguments are tokens, too."""
        if call:
            self.grew(call.get("name"))
            self.grew(str(call.get("args") or ""))

    def _candidate(self, candidate: Json) -> None:
        parts = an_object(candidate.get("content")).get("parts")
        for part in parts if isinstance(parts, list) else ():
            text = words(an_object(part).get("text"))
            self.grew(text)
            self._count_call(an_object(an_object(part).get("functionCall")))
            self.started = self.started or bool(text) or not an_object(part).keys() <= {"text", "thoughtSignature"}
        if gemini_end(candidate.get("finishReason")):
            self.started = self._finished = True
