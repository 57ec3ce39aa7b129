"""The Translator of most adapters: bytes to events, through the provider's steps, to frames or one JSON answer.

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

from . import odd_events as _odd
from . import provider_errors as _blame
from .chat_fold import Fold, unfold
from .error_dresses import disguised
from .half_characters import Halves
from .json_body import parse_lenient
from .normalise import Entrance, Envelope, Reasoning, ToolCalls
from .number_tokens import as_written
from .openai_exact import is_clean
from .plain_events import Shape
from .sse import DONE, MAX_EVENT, Events, frame
from .text_completions import FromText, as_text

_CLOSING = 0.05  # seconds for a connection's end behind a whole JSON answer
_LOOKS = 16


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
        self._steps: tuple[Step, ...] = (*first, *steps, Entrance(text=text), Reasoning(), ToolCalls(chat))
        self._own = not steps and not text  # the provider speaks as the client does
        self._halves = Halves()
        self._counted: Callable[[], Json] | None = next(
            filter(None, (getattr(one, "counted", None) for one in steps)), None
        )
        self._accounted: Callable[[], Usage | None] | None = next(
            filter(None, (getattr(one, "accounted", None) for one in steps)), None
        )
        self._plain = self._stream and self._own and self._encoder is None
        self._show: Callable[[Json], Json | None] | None = as_text if text else None
        self._fold = None if self._stream or self._encoder is not None else Fold()
        self._shape: Shape | None = None
        self._begun = False
        self._whole: list[bytes] | None = None  # the pieces of a reply that is one JSON text
        self._looks = 0
        self._fast_text = 0
        self.done = False
        self.grace: float | None = None  # seconds to wait for more, once the provider has said the end

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
        self.grace = _CLOSING if self._is_whole(data) else None
        return ()

    def _is_whole(self, data: bytes) -> bool:
        """Whether the JSON text is there to its end. It is looked at where a piece ends so, and not for ever."""
        assert self._whole is not None
        if data.rstrip()[-1:] not in (b"}", b"]") or self._looks > _LOOKS:
            return False
        self._looks += 1
        try:
            orjson.loads(b"".join(self._whole))
        except orjson.JSONDecodeError:
            return False
        return True

    def _parse(self, data: bytes) -> Iterator[bytes]:
        for event in self._events.feed(data):
            yield from self._event(event.data, event.name)
            if self.done:
                return

    def _event(self, data: bytes, name: bytes = b"") -> Iterator[bytes]:
        text = data.strip()
        if text == b"[DONE]":
            yield from self._close(complete=True)
            return
        if not text:
            return
        try:
            parsed, exact = parse_lenient(data, self._halves)
        except Malformed as error:
            yield from self._unread(text, name, error)
            return
        if self._halves.waiting:
            self._shape = None  # the other half is looked for in the next event, however plain that is
        if isinstance(parsed, list) and len(parsed) > 1 and all(isinstance(one, dict) for one in parsed):
            yield from self._several([orjson.dumps(one) for one in parsed], name)
            return
        if _odd.is_ping(parsed) or (name and _odd.is_alive_name(name) and not _has_choices(parsed)):
            return
        chunk = _object(parsed, name, own=self._own)
        if self._own and (written := as_written(chunk, data)) is not chunk:
            chunk, exact = written, False
        for out in self._through(chunk, self._steps):
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
        elif self._envelope.grace is None:  # behind the finish it changes nothing
            words = _odd.words(text)
            if words is None:
                raise error
            told = self._blame({"error": words})
            told.code = told.code or error.code
            raise told from error

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
        if self._fold is not None and self._own and exact and is_clean(whole):
            self._envelope.usage = Usage.parse(whole["usage"]) if whole.get("usage") else None
            self.done = True
            yield body
            return
        answered = False
        for one in whole if isinstance(whole, list) else [whole]:
            chunk = _object(one, own=self._own)
            answered = _is_completion(chunk)
            for opened in unfold(chunk) if answered else (chunk,):
                for out in self._through(opened, self._steps):
                    yield from self._out(out)
        # An answer whose JSON is whole was not cut, even if it says no finish.
        yield from self._close(complete=answered and not isinstance(whole, list))

    def _not_whole(self, body: bytes) -> Iterator[bytes]:
        """It began like JSON and is not: JSON lines, bare events one after the other, or JSON that was cut."""
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


def _object(parsed: Any, name: bytes = b"", *, own: bool = True) -> Json:
    """The event as an object, errors in any of their dresses as `{"error": ...}`. Raises Malformed for anything else.

    own: it is in OpenAI's form; events of another have a `type`, and what that means is their translator's affair.
    """
    if isinstance(parsed, list) and len(parsed) == 1 and isinstance(parsed[0], dict):
        parsed = parsed[0]  # Google's compatible endpoint lists its one error
    if isinstance(parsed, str) and name == b"error":
        return {"error": parsed}
    if not isinstance(parsed, dict):
        raise Malformed("The provider sent an event that is not a JSON object.")
    if parsed.get("error"):
        return parsed
    if name == b"error" or parsed.get("object") == "error":
        return {"error": parsed}
    error = disguised(parsed, by_words=own) if own or "type" not in parsed else None
    return parsed if error is None else {"error": error}


def _has_choices(event: Any) -> bool:
    return isinstance(event, dict) and bool(event.get("choices"))


def _is_completion(chunk: Json) -> bool:
    choices = chunk.get("choices")
    return isinstance(choices, list) and any(
        isinstance(one, dict) and ("message" in one or "text" in one) for one in choices
    )
