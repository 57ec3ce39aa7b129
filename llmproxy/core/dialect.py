"""Contract 3: a dialect, an API of clients that some providers have too, besides OpenAI's chat completions.

Inside the gateway, answers are chat chunks. If the provider has the client's dialect, its bytes are passed through and
watched. Otherwise the request is translated to a chat, and the chat's chunks are encoded in the client's dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from .adapter import Adapter, Translator
    from .chat import Chat, Json
    from .errors import GatewayError, UpstreamError

Judge = Callable[["Json"], "UpstreamError"]  # makes the error from an event that contains one


class Encoder(Protocol):
    """Renders one answer in the client's dialect from normalised chat chunks. One object per attempt."""

    def feed(self, chunk: Json) -> Iterable[bytes]:
        """The whole events for one chunk; nothing if the answer is one JSON text. Raises Malformed."""
        ...

    def finish(self) -> Iterable[bytes]:
        """The output after the last chunk of a complete answer: the closing events, or the JSON text."""
        ...

    def failed(self, error: GatewayError) -> bytes:
        """The last events of a stream that fails after its first event."""
        ...


EVENT_STREAM = "text/event-stream; charset=utf-8"


class Dialect(Protocol):
    """One API of clients. It has no state: the state of an answer is in its Encoder or Translator."""

    name: str

    @property
    def stream_type(self) -> str:
        """The media type of a stream."""
        ...

    def as_chat(self, chat: Chat) -> Chat:
        """The request as a chat, with `encoder` set. Parameters that a chat cannot carry are recorded by `Chat.drop`.
        Raises BadRequest.
        """
        ...

    def watch(self, chat: Chat, judge: Judge) -> Translator:
        """For a provider with the same dialect: passes its bytes through, and reads usage, start, finish and errors
        from them.
        """
        ...

    def error(self, error: GatewayError, request_id: str) -> tuple[bytes, Mapping[str, str]]:
        """The body and additional headers of a failed answer. The status is that of the error, unless `status` gives
        another.
        """
        ...

    def status(self, error: GatewayError) -> int:
        """The HTTP status of the error in this dialect."""
        ...

    def error_event(self, error: GatewayError) -> bytes:
        """The events of a stream that fails before its first event, when the status was already sent."""
        ...

    def ping(self, last: bytes) -> bytes:
        """A keep-alive for a silent stream. `last`: the bytes that were sent last; empty before the first event."""
        ...

    def headers(self, request_id: str) -> Mapping[str, str]:
        """Additional headers of a successful answer."""
        ...


@runtime_checkable
class Adapts(Protocol):
    """A dialect whose requests do not suit every provider that speaks it, or must be changed first."""

    def suits(self, chat: Chat, adapter: Adapter) -> bool:
        """Whether the provider understands all of this request in the client's dialect; otherwise it gets a chat."""
        ...

    def passed(self, chat: Chat, adapter: Adapter) -> Chat:
        """The request as it is sent to the provider: without the gateway's own members."""
        ...


@runtime_checkable
class Forgets(Protocol):
    """A dialect whose requests carry state of earlier reasoning, which a provider may refuse."""

    def without_thoughts(self, chat: Chat) -> Chat | None:
        """The request without this state, recorded as dropped; None if it has none."""
        ...
