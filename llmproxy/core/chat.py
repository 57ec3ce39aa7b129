"""Core data type: Chat, one request to one model with its body and bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from .trace import Trace

if TYPE_CHECKING:
    from .dialect import Dialect, Encoder
    from .places import Places

Json = dict[str, Any]
# The API that the client called.
Face = Literal["chat", "completions", "embeddings", "messages", "responses", "compact", "gemini"]
# a request body: one piece, or several pieces so that megabytes are not copied
Body = bytes | tuple[bytes | memoryview, ...]


# Quotes inside a JSON string are escaped, so this matches only whole strings. Followed by a colon it is a key, with its
# value.
_SPOT = re.compile(rb'"model"')
_MODEL = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')
_LETTER = re.compile(rb"\\u006")  # another way in which JSON may write a letter of "model"


def whole(body: Body) -> bytes:
    """Joins the pieces to one."""
    return body if isinstance(body, bytes) else b"".join(body)


def model_spots(raw: bytes) -> tuple[int, ...]:
    """The positions of `"model"` in a JSON text. A body may be large, so callers store the result."""
    return tuple([found.start() for found in _SPOT.finditer(raw)])


_LARGE = 64 * 1024  # bytes; a larger body stays in pieces once it was cut


@dataclass(slots=True)
class Chat:
    """One request to one model. `body` is what the client sent, parsed once and never changed.

    `Final` and not `frozen`, because a frozen object takes three times as long to make, and each request makes several.

    trace: data about the request while it runs: ID, phase, attempts, dropped parameters. Copies of a Chat share it.
    dialect: the client's API, None for OpenAI's older ones. streaming: whether the answer is a stream, if the body does
    not say it. encoder, beside: set if the request was translated to a chat. `encoder` renders the answer in the
    client's dialect; `beside` has, for each entry of `messages`, the blocks or items from which it was made.
    composed: the messages are those of a thread, written by the gateway, so a provider need not take all their members.
    places: names the client's fields in errors, if the request was translated.
    """

    body: Final[Json]
    model: Final[str]  # the provider's name for it
    face: Final[Face] = "chat"
    raw: Final[bytes | None] = None  # the client's bytes, if `body` is exactly their content
    trace: Final[Trace] = field(default_factory=Trace)
    # those of the client's headers that an adapter may need; lower-case names
    headers: Final[Mapping[str, str]] = field(default_factory=dict)
    spots: Final[tuple[int, ...] | None] = None  # positions of `"model"` in `raw`, if known
    dialect: Final[Dialect | None] = None
    streaming: Final[bool | None] = None
    encoder: Final[Callable[[], Encoder] | None] = None
    beside: Final[Sequence[object] | None] = None
    composed: Final[bool] = False
    places: Final[Places | None] = None

    @property
    def stream(self) -> bool:
        if self.streaming is not None:
            return self.streaming
        return "stream" in self.body and self.body["stream"] is True

    @property
    def include_usage(self) -> bool:
        options = self.body.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    @property
    def messages(self) -> list[Json]:
        return self.body.get("messages") or []

    def asking(self, model: str) -> Chat:
        """A copy for another model."""
        return self.traced(self.trace, model)

    def traced(self, trace: Trace, model: str) -> Chat:
        """A copy for a model, as one of several attempts that each have their own trace."""
        return Chat(
            self.body, model, self.face, self.raw, trace, self.headers, self.spots,
            self.dialect, self.streaming, self.encoder, self.beside, self.composed, self.places,
        )  # fmt: skip

    def with_fields(self, **changes: Any) -> Chat:
        """A copy with some members of the body set, or removed if the value is None."""
        body = {
            key: value for key, value in {**self.body, **changes}.items() if key not in changes or value is not None
        }
        beside, places = (None, None) if "messages" in changes else (self.beside, self.places)
        return Chat(
            body, self.model, self.face, None, self.trace, self.headers, None,
            self.dialect, self.streaming, self.encoder, beside, self.composed, places,
        )  # fmt: skip

    saying = with_fields  # its former name, which adapters in other packages may use

    def drop(self, *names: str) -> Chat:
        """A copy without these parameters; those that were present are recorded as dropped."""
        there = [name for name in names if self.body.get(name) is not None]
        if not there:
            return self
        self.trace.dropped.extend(name for name in there if name not in self.trace.dropped)
        return self.with_fields(**dict.fromkeys(there))

    def render(self, **added: Any) -> Body:
        """The request as JSON for the provider: with its model name, and with `added` members that the client did not
        send.

        If possible, the client's bytes are cut and joined, not written again. A body may contain megabytes of images,
        and this keeps members, order and numbers exactly as the client wrote them.
        """
        spliced = self._splice(added) if self.raw is not None else None
        return spliced if spliced is not None else orjson.dumps({**self.body, **added, "model": self.model})

    def _splice(self, added: Json) -> Body | None:
        raw = self.raw or b""
        if added and not self.body.keys().isdisjoint(added):
            return None
        named = self.body.get("model")
        if not added and named == self.model:
            return raw
        spots = model_spots(raw) if self.spots is None else self.spots
        keys = [found for spot in spots if (found := _MODEL.match(raw, spot))]
        if len(keys) != 1 or not isinstance(named, str):  # there is another "model" at a deeper level
            return None
        if b"\\" in raw and _LETTER.search(raw):  # then the match may not be the model of the request
            return None
        start, end = keys[0].span(1)
        extra = b"," + orjson.dumps(added)[1:-1] if added else b""
        view = memoryview(raw)  # slices of it are not copied
        pieces = (view[:start], orjson.dumps(self.model) + extra, view[end:])
        return pieces if len(raw) > _LARGE else b"".join(pieces)
