"""Contract 3: a dialect that clients speak and that some providers speak too, beside OpenAI's chat completions.

In between flow chat chunks. A provider that speaks the client's dialect is passed through and watched; for every other
one the request is translated to a chat, and the chat's chunks are encoded in the client's dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from .adapter import Adapter, Translator
    from .chat import Chat, Json
    from .errors import GatewayError, UpstreamError

Judge = Callable[["Json"], "UpstreamError"]  # makes the error of an event that carries one


class Encoder(Protocol):
    """Renders one answer in the client's dialect from normalised chat chunks. Made anew for each attempt."""

    def feed(self, chunk: Json) -> Iterable[bytes]:
        """The whole events that a chunk gives; nothing where the answer is one JSON text. Raises Malformed."""
        ...

    def finish(self) -> Iterable[bytes]:
        """What is owed after the last chunk of a complete answer: the closing events, or the JSON text."""
        ...

    def failed(self, error: GatewayError) -> bytes:
        """The last events of a stream that fails after its first event."""
        ...


EVENT_STREAM = "text/event-stream; charset=utf-8"


class Dialect(Protocol):
    """How one kind of client speaks. Without state: everything about one answer is in its Encoder or Translator."""

    name: str

    @property
    def stream_type(self) -> str:
        """The media type of a stream."""
        ...

    def as_chat(self, chat: Chat) -> Chat:
        """The request as a chat, with `encoder` set. What cannot be carried is noted by `Chat.drop`. Raises BadRequest."""
        ...

    def watch(self, chat: Chat, judge: Judge) -> Translator:
        """For a provider of the same dialect: passes its bytes on, and finds usage, start, finish and errors in them."""
        ...

    def error(self, error: GatewayError, request_id: str) -> tuple[bytes, Mapping[str, str]]:
        """The body and the further headers of a failed answer. The status is the error's, unless `status` says otherwise."""
        ...

    def status(self, error: GatewayError) -> int:
        """The HTTP status of the error in this dialect."""
        ...

    def error_event(self, error: GatewayError) -> bytes:
        """The events of a stream that fails before its first event, when its status has been sent already."""
        ...

    def ping(self, last: bytes) -> bytes:
        """What keeps a silent stream alive. `last`: what was sent last; empty before the first event."""
        ...

    def headers(self, request_id: str) -> Mapping[str, str]:
        """Further headers of a good answer."""
        ...


@runtime_checkable
class Adapts(Protocol):
    """A dialect whose requests are not for every provider that speaks it, or not quite as they came."""

    def suits(self, chat: Chat, adapter: Adapter) -> bool:
        """Whether the provider understands all of this request in the client's dialect; else it is asked for a chat."""
        ...

    def passed(self, chat: Chat, adapter: Adapter) -> Chat:
        """The request as it goes out to the provider: without what is the gateway's own."""
        ...


@runtime_checkable
class Forgets(Protocol):
    """A dialect whose requests carry state of earlier reasoning, which a provider may not know again."""

    def without_thoughts(self, chat: Chat) -> Chat | None:
        """The request without it, which is noted as dropped; None where it has none."""
        ...
