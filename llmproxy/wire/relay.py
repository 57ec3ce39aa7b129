"""The Translator of every provider: bytes to events, events through the provider's steps, out as frames or as one JSON answer.

With no steps of the provider's own it is the pass-through: an event that needs nothing leaves as the bytes that came, and
one look over a block's bytes says whether it does (see shape).
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

from . import provider_errors as _blame
from .chat_fold import Fold, unfold
from .json_body import parse_lenient
from .normalise import Envelope, Reasoning, ToolCalls
from .openai_exact import is_clean
from .plain_events import Shape
from .sse import DONE, MAX_EVENT, Events, frame
from .text_completions import FromText, as_text


class Relay:
    """A Translator. `steps` turn the provider's events into OpenAI's chunks; none are needed where they are that already.

    marks: the steps write marks, which are believed. Where the chat has an `encoder`, its frames are given in place of chunks.
    """

    encodes = True

    def __init__(
        self, chat: Chat, *steps: Step, blame: Callable[[Json], UpstreamError] = _blame.in_band, marks: bool = False
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
        self._steps: tuple[Step, ...] = (*first, *steps, Reasoning(), ToolCalls(chat))
        self._counted: Callable[[], Json] | None = next(
            filter(None, (getattr(one, "counted", None) for one in steps)), None
        )
        self._accounted: Callable[[], Usage | None] | None = next(
            filter(None, (getattr(one, "accounted", None) for one in steps)), None
        )
        self._plain = self._stream and not steps and not text and self._encoder is None
        self._show: Callable[[Json], Json | None] | None = as_text if text else None
        self._fold = None if self._stream or self._encoder is not None else Fold()
        self._shape: Shape | None = None
        self._begun = False
        self._whole: list[bytes] | None = None  # the pieces of a reply that is one JSON text
        self._fast_text = 0
        self.done = False

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
            return self._collect(data)
        if self._begun and self._plain:
            return self._look(data)
        if not self._begun and (start := data.lstrip(b"\xef\xbb\xbf \r\n\t")):
            self._begun = True
            if start[:1] in b"{[":
                self._whole = []
                return self._collect(data)
        return self._look(data) if self._plain and not data.startswith(b"\xef") else self._parse(data)

    def finish(self) -> Iterable[bytes]:
        if self.done:
            return
        if self._whole is not None:
            yield from self._finish_whole(b"".join(self._whole))
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
        """The pass-through: plain events go on as they are, as many in one piece as stand together."""
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
        """A block of which some events need parsing: a stream's first and last ones, mostly."""
        at = begun = 0  # what lies between them is plain and goes out together
        while at < len(block):
            stop = block.find(b"\n\n", at) + 2
            if stop < 2:  # three line ends in a row: the last one is nobody's
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

    def _collect(self, data: bytes) -> Iterable[bytes]:
        assert self._whole is not None
        self._whole.append(data)
        if len(self._whole) % 64 == 0 and sum(map(len, self._whole)) > 4 * MAX_EVENT:
            raise Malformed("The provider's answer is too large.", retry_here=False)
        return ()

    def _parse(self, data: bytes) -> Iterator[bytes]:
        for event in self._events.feed(data):
            yield from self._event(event.data, event.name)
            if self.done:
                return

    def _event(self, data: bytes, name: bytes = b"") -> Iterator[bytes]:
        if data.strip() == b"[DONE]":
            yield from self._close(complete=True)
            return
        if not data.strip():
            return
        parsed, exact = parse_lenient(data)
        chunk = _object(parsed, name)
        for out in self._through(chunk, self._steps):
            yield from self._out(out, data if exact and out is chunk else None)

    def _through(self, chunk: Json, steps: tuple[Step, ...]) -> Iterable[Json]:
        if chunk.get("error"):
            raise self._blame(chunk)
        chunks: Iterable[Json] = (chunk,)
        for step in steps:
            chunks = [out for one in chunks for out in step.feed(one)]
        return [out for one in chunks for out in self._envelope.feed(one)]

    def failed(self, error: GatewayError) -> bytes | None:
        """The last events of an answer that fails now, in the client's dialect; None where that has no state of its own."""
        return self._encoder.failed(error) if self._encoder is not None else None

    def _out(self, chunk: Json, data: bytes | None = None) -> Iterator[bytes]:
        if self._encoder is not None:
            yield from self._encoder.feed(chunk if self._marks else unmarked(chunk))
            return
        if self._marks and mark_of(chunk):
            if not says(chunk):
                return
            chunk, data = unmarked(chunk), None
        if self._fold is not None:
            self._fold.add(chunk)
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
        """What is owed at the end. Raises Truncated, before anything is given, if the answer was cut."""
        late: list[Json] = []
        for number, step in enumerate(self._steps):
            for chunk in step.finish():
                late.extend(self._through(chunk, self._steps[number + 1 :]))
        for chunk in (*late, *self._envelope.finish(complete)):
            yield from self._out(chunk)
        self.done = True
        if self._encoder is not None:
            yield from self._encoder.finish()
            return
        if self._fold is None:
            yield DONE
            return
        answer = self._fold.result()
        yield orjson.dumps(self._show(answer) if self._show else answer)

    def _finish_whole(self, body: bytes) -> Iterator[bytes]:
        """A reply that is one JSON text: an answer, an error under status 200, or Gemini's array of events."""
        try:
            whole, exact = parse_lenient(body)
        except Malformed:
            yield from self._not_whole(body)
            return
        if self._fold is not None and len(self._steps) == 2 and exact and is_clean(whole):
            self._envelope.usage = Usage.parse(whole["usage"]) if whole.get("usage") else None
            self.done = True
            yield body
            return
        for one in whole if isinstance(whole, list) else [whole]:
            chunk = _object(one)
            for opened in unfold(chunk) if _is_completion(chunk) else (chunk,):
                for out in self._through(opened, self._steps):
                    yield from self._out(out)
        yield from self._close(complete=False)

    def _not_whole(self, body: bytes) -> Iterator[bytes]:
        """It began like JSON and is not: JSON that was cut, or bare events one after the other."""
        for event in (*self._events.feed(body), *self._flushed()):
            yield from self._event(event.data, event.name)
        if not self.done:
            yield from self._close(complete=False)

    def _flushed(self) -> Iterable[Any]:
        try:
            return list(self._events.finish())
        except Malformed as error:
            raise Truncated("The provider's answer is cut off inside its JSON.") from error


def _object(parsed: Any, name: bytes = b"") -> Json:
    """The event as an object, errors in any of their dresses as `{"error": ...}`. Raises Malformed for anything else."""
    if isinstance(parsed, list) and len(parsed) == 1 and isinstance(parsed[0], dict):
        parsed = parsed[0]  # Google's compatible endpoint lists its one error
    if not isinstance(parsed, dict):
        raise Malformed("The provider sent an event that is not a JSON object.")
    if (name == b"error" or parsed.get("object") == "error") and not parsed.get("error"):
        return {"error": parsed}
    return parsed


def _is_completion(chunk: Json) -> bool:
    choices = chunk.get("choices")
    return isinstance(choices, list) and any(isinstance(one, dict) and "message" in one for one in choices)
