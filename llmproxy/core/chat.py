"""Core data type: Chat, one request to one model with its body and bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import orjson

from .trace import Trace

if TYPE_CHECKING:
    from .dialect import Dialect, Encoder

Json = dict[str, Any]
Face = Literal["chat", "completions", "embeddings", "messages", "responses", "compact", "gemini"]
Body = bytes | tuple[bytes | memoryview, ...]  # of a request: whole, or in pieces, as copies of megabytes are not free


# A quote inside a JSON string is escaped, so these only meet whole strings; with a colon it is a key, with its value.
_SPOT = re.compile(rb'"model"')
_MODEL = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')
_LETTER = re.compile(rb"\\u006")  # how JSON may also write any letter of "model"


def whole(body: Body) -> bytes:
    """In one piece."""
    return body if isinstance(body, bytes) else b"".join(body)


def model_spots(raw: bytes) -> tuple[int, ...]:
    """Where `"model"` stands in a JSON text. A body may be large: whoever looks keeps what was found."""
    return tuple([found.start() for found in _SPOT.finditer(raw)])


_LARGE = 64 * 1024  # bytes of a body that is not joined again once it was cut


@dataclass(frozen=True, slots=True)
class Chat:
    """One question to one model. `body` is what the client sent, parsed once and never edited.

    dialect: how the client speaks, where that is none of OpenAI's older forms. streaming: whether the answer is a stream,
    where the body does not say it. encoder, beside: of a request that was translated to a chat: what renders the answer in
    the client's dialect, and for each entry of `messages` the blocks or items that it was made of.
    """

    body: Json
    model: str  # the name the provider knows it by
    face: Face = "chat"
    raw: bytes | None = None  # the client's own bytes, if `body` is exactly what they say
    trace: Trace = field(default_factory=Trace)
    headers: Mapping[str, str] = field(default_factory=dict)  # the client's, those an adapter may need, lower case
    spots: tuple[int, ...] | None = None  # of `raw`, if they are known
    dialect: Dialect | None = None
    streaming: bool | None = None
    encoder: Callable[[], Encoder] | None = None
    beside: Sequence[object] | None = None

    @property
    def stream(self) -> bool:
        return self.body.get("stream") is True if self.streaming is None else self.streaming

    @property
    def include_usage(self) -> bool:
        options = self.body.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    @property
    def messages(self) -> list[Json]:
        return self.body.get("messages") or []

    def asking(self, model: str) -> Chat:
        """The same question to another model."""
        return self.traced(self.trace, model)

    def traced(self, trace: Trace, model: str) -> Chat:
        """The same question to a model, as one of several attempts that have traces of their own."""
        return Chat(
            self.body, model, self.face, self.raw, trace, self.headers, self.spots,
            self.dialect, self.streaming, self.encoder, self.beside,
        )  # fmt: skip

    def saying(self, **changes: Any) -> Chat:
        """The same question with some members set, or removed where the value is None."""
        body = {
            key: value for key, value in {**self.body, **changes}.items() if key not in changes or value is not None
        }
        beside = None if "messages" in changes else self.beside
        return Chat(
            body, self.model, self.face, None, self.trace, self.headers, None,
            self.dialect, self.streaming, self.encoder, beside,
        )  # fmt: skip

    def drop(self, *names: str) -> Chat:
        """The same question without these parameters, which are noted as dropped if they were there."""
        there = [name for name in names if self.body.get(name) is not None]
        if not there:
            return self
        self.trace.dropped.extend(name for name in there if name not in self.trace.dropped)
        return self.saying(**dict.fromkeys(there))

    def render(self, **added: Any) -> Body:
        """The request as JSON for the provider: its model name, and `added` members that the client did not send.

        Where the client's bytes can be kept they are cut and joined, not written anew: a body may carry megabytes of
        images, and its members, order and numbers stay exactly as the client wrote them.
        """
        spliced = self._splice(added) if self.raw is not None else None
        return spliced if spliced is not None else orjson.dumps({**self.body, **added, "model": self.model})

    def _splice(self, added: Json) -> Body | None:
        raw = self.raw or b""
        if any(key in self.body for key in added):
            return None
        if not added and self.body.get("model") == self.model:
            return raw
        spots = model_spots(raw) if self.spots is None else self.spots
        keys = [found for spot in spots if (found := _MODEL.match(raw, spot))]
        if len(keys) != 1 or not isinstance(self.body.get("model"), str):  # another "model" deeper down
            return None
        if b"\\" in raw and _LETTER.search(raw):  # then the one that is met may not be ours
            return None
        start, end = keys[0].span(1)
        extra = b"," + orjson.dumps(added)[1:-1] if added else b""
        view = memoryview(raw)  # a slice of it is no copy
        pieces = (view[:start], orjson.dumps(self.model) + extra, view[end:])
        return pieces if len(raw) > _LARGE else b"".join(pieces)
