"""Contract 1: the Adapter, two pure functions over bytes, without I/O and timing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Protocol, runtime_checkable

from .chat import Body, Chat, Face, Json
from .errors import UpstreamError
from .usage import Usage


@dataclass(frozen=True, slots=True)
class Local:
    """A server that may run on this machine: its default addresses, and how it is recognised.

    places: `host:port`. signs: texts that only this kind of server sends in `GET /v1/models`; one of them is enough.
    """

    places: tuple[str, ...]
    signs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Environment:
    """The usual environment variables for an adapter's settings; if several are set, the first one is used.

    options: names of options and their variables. local: the server to look for on this machine at the start.
    """

    keys: tuple[str, ...] = ()
    base_urls: tuple[str, ...] = ()
    base_url: str = ""  # the provider's address, if none is configured
    needs_key: bool = True
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    local: Local | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A configured provider: its name in the configuration, its address and its key.

    `options` has all other members of the table in the configuration; an adapter reads those that it knows.
    """

    name: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Outgoing:
    """One HTTP request to a provider, ready to be sent."""

    url: Final[str]
    body: Final[Body] = b""
    headers: Final[Mapping[str, str]] = field(default_factory=dict, repr=False)
    method: Final[str] = "POST"


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a provider offers. `extra` has what the provider sends beyond OpenAI's four members."""

    id: str
    created: int = 0
    owned_by: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pace:
    """How one request differs from the provider's usual behaviour.

    first_frame: seconds until the first content chunk, if the configuration has no value. comments_count: keep-alive
    comments show that the provider is working. once: the request is too expensive to repeat; after it was sent, it is
    not sent again.
    """

    first_frame: float | None = None
    comments_count: bool = False
    once: bool = False


class Translator(Protocol):
    """Converts one reply from the provider's bytes to the client's frames. One object per attempt.

    `feed` and `finish` return whole frames, ready for the client. Both may raise UpstreamError after they returned some
    frames; those are still valid. Frames are held back until `started`, unless `shows_early` is true: then the client
    asked to see the progress. If `grace` (seconds) is not None, the provider has sent the end of the answer: the caller
    waits at most that long for more and then calls `finish`, even if the connection stays open or breaks.
    """

    @property
    def usage(self) -> Usage | None:
        """The usage that the provider has sent so far."""
        ...

    @property
    def started(self) -> bool:
        """A content chunk has arrived: text, reasoning, a tool call or a finish; not comments, roles or empty deltas."""
        ...

    @property
    def done(self) -> bool:
        """The answer is complete; all further bytes of the provider are ignored."""
        ...

    @property
    def produced(self) -> int:
        """Characters of text so far, to estimate tokens."""
        ...

    def feed(self, data: bytes) -> Iterable[bytes]:
        """Takes the next bytes of a 2xx reply."""
        ...

    def finish(self) -> Iterable[bytes]:
        """The provider closed the connection properly. Returns the remaining frames; raises Truncated if the answer
        was cut.
        """
        ...


class Adapter(Protocol):
    """One provider. Built once from its Account."""

    environment: ClassVar[Environment]
    account: Account
    many: bool  # whether one request may ask for `n > 1`
    first_frame: float  # seconds until the first content chunk, if the configuration has no value
    speaks: frozenset[Face]  # the dialects that the provider itself understands; older adapters call it `faces`

    def __init__(self, account: Account) -> None: ...

    def request(self, chat: Chat) -> Outgoing:
        """Builds the HTTP request. Raises BadRequest for a request that the provider cannot accept."""
        ...

    def translator(self, chat: Chat) -> Translator:
        """A new translator for the reply to `request(chat)`."""
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """The error for a reply with a status other than 2xx. `headers` have lower-case names."""
        ...


def speaks(adapter: Adapter) -> frozenset[Face]:
    """The dialects that an adapter's provider understands itself. If a subclass only sets the older `faces`, that is
    used.
    """
    for members in (vars(adapter) if hasattr(adapter, "__dict__") else {}, *map(vars, type(adapter).__mro__)):
        for name in ("speaks", "faces"):
            if name in members:
                return frozenset(getattr(adapter, name))
    return frozenset()


@runtime_checkable
class ListsModels(Protocol):
    """An adapter whose provider has a list of its models."""

    def models_request(self, page: str | None = None) -> Outgoing: ...

    def models(self, body: bytes) -> tuple[Sequence[Model], str | None]:
        """The models of one page, and the token of the next page if there is one."""
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """An adapter whose provider can count the tokens of a request."""

    def count_request(self, chat: Chat) -> Outgoing | None:
        """The HTTP request that counts tokens, for a chat or a request in a dialect that the adapter speaks; None if
        the provider cannot count it.
        """
        ...

    def counted(self, body: bytes) -> int:
        """The count in the provider's answer. Raises Malformed."""
        ...


@runtime_checkable
class KnowsPace(Protocol):
    """An adapter whose provider handles some requests differently."""

    def pace(self, chat: Chat) -> Pace: ...


@runtime_checkable
class Learns(Protocol):
    """An adapter that learns from an error which parameters its provider does not accept."""

    def learn(self, chat: Chat, error: UpstreamError) -> bool:
        """Whether to send the same request again, now without the refused parameter."""
        ...


@runtime_checkable
class TakesFew(Protocol):
    """An adapter whose provider accepts a limited number of texts in one embeddings request; more texts are split into
    several requests.
    """

    inputs_at_once: int


@runtime_checkable
class KnowsModels(Protocol):
    """An adapter that has data about (some of) its provider's models."""

    known_models: Sequence[Model]


@runtime_checkable
class InProcess(Protocol):
    """An adapter whose provider is in this process: it answers itself, with the bytes that a provider would send."""

    def answer(self, chat: Chat) -> AsyncGenerator[bytes, None]: ...


class Step(Protocol):
    """One stage of a translation: takes parsed events in order and returns events. Stages are piped one into the next."""

    def feed(self, event: Json) -> Iterable[Json]: ...

    def finish(self) -> Iterable[Json]: ...


class Counting(Step, Protocol):
    """A step that sends the provider's usage once, at the end, although it counts it all the time."""

    def counted(self) -> Json:
        """OpenAI's usage object of what was counted so far, for an answer that is stopped; empty if nothing was
        counted.
        """
        ...


class Accounting(Step, Protocol):
    """A step that knows the billed amounts more exactly than OpenAI's usage object can express."""

    def accounted(self) -> Usage | None:
        """The counts so far; None if there are none."""
        ...
