"""The Translator of most adapters: bytes to events, through the provider's steps, to frames or one JSON answer.

Without steps of the provider it passes events through: an event that needs no change is sent as the bytes that arrived. The
fast path decides this for a whole block of bytes (plain_events.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from llmproxy.core.adapter import Step
from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import GatewayError, Malformed, Truncated, UpstreamError
from llmproxy.core.marks import mark_of, says, unmarked
from llmproxy.core.usage import Usage

from . import odd_events as _odd
from . import provider_errors as _blame
from .chat_accumulator import Accumulator, as_chunks
from .event_objects import as_object, has_choices, is_completion, is_usual
from .half_characters import Halves
from .json_body import parse_lenient
from .normalise import Entrance, Envelope, Reasoning, ToolCalls
from .number_tokens import as_written
from .plain_events import Shape
from .sse import DONE, Events, frame
from .text_completions import FromText, as_text
from .whole_json import CLOSING, WholeJson, first_sign

_REASONING = Reasoning()  # it remembers nothing


class Relay:
    """A Translator. `steps` convert the provider's events to OpenAI's chunks; none are needed if they already are.

    marks: the steps write marks, which are trusted. whole: what was gathered of a reply that is one JSON text.
    If the chat has an `encoder`, its frames are returned instead of chunks.
    """

    encodes = True

    __slots__ = (
        "_accounted",
        "_accumulator",
        "_begun",
        "_blame",
        "_calls",
        "_chat",
        "_counted",
        "_encoder",
        "_envelope",
        "_events",
        "_fast_text",
        "_halves",
        "_marks",
        "_normal",
        "_own",
        "_plain",
        "_providers",
        "_shape",
        "_show",
        "_steps",
        "_stream",
        "_whole",
        "done",
        "grace",
    )  # fmt: skip

    def __init__(
        self,
        chat: Chat,
        *steps: Step,
        blame: Callable[[Json], UpstreamError] = _blame.in_band,
        marks: bool = False,
        whole: WholeJson | None = None,
    ) -> None:
        self._chat = chat
        self._marks = marks
        self._encoder = chat.encoder() if chat.encoder is not None else None
        self._stream = chat.stream
        self._events = Events()
        self._blame = blame
        self._envelope = Envelope(chat, blame)
        text = chat.face == "completions"
        first: tuple[Step, ...] = (FromText(),) if text else ()
        self._providers: tuple[Step, ...] = (*first, *steps)
        self._calls = ToolCalls(chat)
        self._normal: tuple[Step, ...] = (Entrance(text=text), _REASONING, self._calls)
        self._steps = (*self._providers, *self._normal)
        self._own = not steps and not text  # the provider has the client's API
        self._halves = Halves()
        self._counted: Callable[[], Json] | None = None
        self._accounted: Callable[[], Usage | None] | None = None
        for one in reversed(steps):  # the first that counts is asked
            self._counted = getattr(one, "counted", self._counted)
            self._accounted = getattr(one, "accounted", self._accounted)
        self._plain = self._stream and self._own and self._encoder is None
        self._show: Callable[[Json], Json | None] | None = as_text if text else None
        self._accumulator = None if self._stream or self._encoder is not None else Accumulator()
        self._shape: Shape | None = None
        self._begun = False
        self._whole = whole  # a reply that is one JSON text
        self._fast_text = 0
        self.done = False
        self.grace: float | None = None  # seconds to wait for more after the provider has sent the end

    @property
    def usage(self) -> Usage | None:
        if self._accounted is not None:
            return self._accounted()
        usage = self._envelope.usage
        if usage is None and self._counted is not None and (counted := self._counted()):
            return Usage.parse(counted)
        return usage

    @property
    def started(self) -> bool:
        return self.done or (self._stream and self._envelope.started)

    @property
    def produced(self) -> int:
        return self._envelope.produced + self._fast_text

    def feed(self, data: bytes) -> Iterable[bytes]:
        if self.done:
            return ()
        if self._whole is not None:
            return self._gather(self._whole, data)
        if self._begun and self._plain:
            return self._look(data)
        if not self._begun and (first := first_sign(data)):
            self._begun = True
            if first in b"{[":
                self._whole = WholeJson()
                return self._gather(self._whole, data)
        return self._look(data) if self._plain and not data.startswith(b"\xef") else self._parse(data)

    def finish(self) -> Iterable[bytes]:
        if self.done:
            return
        if self._whole is not None:
            yield from self._finish_whole(self._whole)
            return
        for event in self._events.finish():
            try:
                yield from self._event(event.data, event.name)
            except Malformed as error:
                raise Truncated("The provider's answer is cut off inside an event.") from error
            if self.done:
                return
        yield from self._close(complete=False)

    def _look(self, data: bytes) -> Iterable[bytes]:
        """The fast path: plain events are passed on unchanged, adjacent ones as one piece."""
        shape = self._shape
        if shape is not None and data.endswith(b"\n\n") and self._events.between and (text := shape.text_in(data)) >= 0:
            self._fast_text += text
            return (data,)
        if not self._events.between:
            held = self._events.take()
            if not held:
                return self._parse(data)
            data = held + data
        cut = data.rfind(b"\n\n") + 2
        if cut < 2 or b"\r" in data:
            return self._parse(data)
        block = data[:cut]
        if shape is None or (text := shape.text_in(block)) < 0:
            return self._walk(block, data[cut:])
        self._fast_text += text
        if cut < len(data):
            self._events.keep(data[cut:])
        return (block,)

    def _walk(self, block: bytes, rest: bytes) -> Iterator[bytes]:
        """A block with events that must be parsed: usually the first and the last one of a stream."""
        at = begun = 0  # the events in between are plain and are sent together
        while at < len(block):
            stop = block.find(b"\n\n", at) + 2
            if stop < 2:  # three line ends in a row: the last one belongs to no event
                break
            event = block[at:stop]
            if self._shape is not None and (text := self._shape.text_of(event)) >= 0:
                self._fast_text += text
                at = stop
                continue
            if begun < at:
                yield block[begun:at]
            yield from self._parse(event)
            if self.done:
                return
            at = begun = stop
        if begun < at:
            yield block[begun:at]
        if left := block[at:] + rest:
            yield from self._parse(left)

    def _gather(self, whole: WholeJson, data: bytes) -> Iterable[bytes]:
        self.grace = CLOSING if whole.add(data) else None
        return ()

    def _parse(self, data: bytes) -> Iterator[bytes]:
        for event in self._events.feed(data):
            yield from self._event(event.data, event.name)
            if self.done:
                return

    def _event(self, data: bytes, name: bytes = b"") -> Iterator[bytes]:
        if data[:1] != b"{":
            text = data.strip()
            if text == b"[DONE]":
                yield from self._close(complete=True)
                return
            if not text:
                return
        try:
            parsed, exact = parse_lenient(data, self._halves)
        except Malformed as error:
            yield from self._unread(data.strip(), name, error)
            return
        if self._halves.held:
            self._shape = None  # the other half is in the next event, so that must be parsed even if it is plain
        if type(parsed) is list and len(parsed) > 1 and all(isinstance(one, dict) for one in parsed):
            yield from self._several([orjson.dumps(one) for one in parsed], name)
            return
        chunk = parsed
        if name or not is_usual(parsed):
            if _odd.is_ping(parsed) or (name and _odd.is_alive_name(name) and not has_choices(parsed)):
                return
            chunk = as_object(parsed, name, own=self._own)
        for out in self._chunks(chunk, data):
            yield from self._out(out, data if exact and out is chunk else None)
        self.grace = self._envelope.grace

    def _several(self, events: list[bytes], name: bytes) -> Iterator[bytes]:
        for one in events:
            yield from self._event(one, name)
            if self.done:
                return

    def _unread(self, text: bytes, name: bytes, error: Malformed) -> Iterator[bytes]:
        """An event that is not JSON."""
        if _odd.is_alive(text, name):
            return
        if _odd.is_done(text):
            yield from self._close(complete=True)
        elif found := _odd.several(text):
            yield from self._several(found, name)
        elif self._envelope.grace is None:  # after the finish it changes nothing
            words = _odd.words(text)
            if words is None:
                raise error
            failure = self._blame({"error": words})
            failure.code = failure.code or error.code
            raise failure from error

    def _chunks(self, event: Json, data: bytes) -> list[Json]:
        """What an event comes to. A further piece of what has begun needs none of the steps that normalise."""
        if event.get("error"):
            raise self._blame(event)
        chunks: Iterable[Json] = (event,)
        for step in self._providers:
            chunks = [out for one in chunks for out in step.feed(one)]
        made: list[Json] = []
        for one in chunks:
            further = self._envelope.further(one, self._calls)
            if further is None:
                made += self._through(as_written(one, data) if self._own else one, self._normal)
            else:
                made.append(further)
        return made

    def _through(self, chunk: Json, steps: tuple[Step, ...]) -> Iterable[Json]:
        if chunk.get("error"):
            raise self._blame(chunk)
        chunks: Iterable[Json] = (chunk,)
        for step in steps:
            chunks = [out for one in chunks for out in step.feed(one)]
        return [out for one in chunks for out in self._envelope.feed(one)]

    def failed(self, error: GatewayError) -> bytes | None:
        """The last events of an answer that fails now, in the client's dialect; None if the dialect needs no state for them."""
        return self._encoder.failed(error) if self._encoder is not None else None

    def _out(self, chunk: Json, data: bytes | None = None) -> Iterator[bytes]:
        if self._encoder is not None:
            yield from self._encoder.feed(chunk if self._marks else unmarked(chunk))
            return
        if self._marks and mark_of(chunk):
            if not says(chunk):
                return
            chunk, data = unmarked(chunk), None
        if self._accumulator is not None:
            self._accumulator.add(chunk)
            return
        if data is not None and self._show is None:
            if self._plain:
                self._learn(chunk, data)
            yield b"data: " + data + b"\n\n" if b"\n" not in data else frame(chunk)
            return
        shown = self._show(chunk) if self._show else chunk
        if shown is not None:
            yield frame(shown)

    def _learn(self, chunk: Json, data: bytes) -> None:
        choices = chunk["choices"]
        delta = choices[0]["delta"] if len(choices) == 1 else {}
        if len(delta) == 1 and choices[0].get("logprobs") is None:
            key = next(iter(delta))
            if key in ("content", "reasoning_content") and delta[key]:
                self._shape = Shape.learn(data, key)

    def _close(self, *, complete: bool) -> Iterator[bytes]:
        """The remaining frames at the end. Raises Truncated, before any frame is returned, if the answer was cut."""
        late = [chunk for half in self._halves.rest() for chunk in self._through(half, self._steps)]
        for number, step in enumerate(self._steps):
            for chunk in step.finish():
                late.extend(self._through(chunk, self._steps[number + 1 :]))
        for chunk in (*late, *self._envelope.finish(complete)):
            yield from self._out(chunk)
        self.done = True
        if self._encoder is not None:
            yield from self._encoder.finish()
            return
        if self._accumulator is None:
            yield DONE
            return
        answer = self._accumulator.result()
        yield orjson.dumps(self._show(answer) if self._show else answer)

    def _finish_whole(self, json: WholeJson) -> Iterator[bytes]:
        """A reply that is one JSON text: an answer, an error with status 200, or Gemini's array of events."""
        body = json.text
        try:
            whole, _ = json.parsed(body)
        except Malformed:
            yield from self._not_whole(body)
            return
        answered = False
        for one in whole if isinstance(whole, list) else [whole]:
            chunk = as_object(one, own=self._own)
            answered = is_completion(chunk)
            for opened in as_chunks(chunk) if answered else (chunk,):
                for out in self._through(opened, self._steps):
                    yield from self._out(out)
        # An answer with complete JSON was not cut, even if it has no finish.
        yield from self._close(complete=answered and not isinstance(whole, list))

    def _not_whole(self, body: bytes) -> Iterator[bytes]:
        """The body began like JSON but is not one object: JSON lines, bare events, or JSON that was cut."""
        if lines := _odd.several(body.strip()):
            yield from self._several(lines, b"")
            if not self.done:
                yield from self._close(complete=False)
            return
        for event in (*self._events.feed(body), *self._flushed()):
            yield from self._event(event.data, event.name)
        if not self.done:
            yield from self._close(complete=False)

    def _flushed(self) -> Iterable[Any]:
        try:
            return list(self._events.finish())
        except Malformed as error:
            raise Truncated("The provider's answer is cut off inside its JSON.") from error
