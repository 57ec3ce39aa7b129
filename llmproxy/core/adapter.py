"""Contract 1: the Adapter, two pure functions over bytes without I/O and timing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from .chat import Body, Chat, Face, Json
from .errors import UpstreamError
from .usage import Usage


@dataclass(frozen=True, slots=True)
class Local:
    """A server that may run on this machine: where it listens unless it was told otherwise, and how it is known.

    places: `host:port`. signs: what it alone says to GET /v1/models; one of them is enough.
    """

    places: tuple[str, ...]
    signs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Environment:
    """Where an adapter's settings stand by the field's custom: names of environment variables, first come first served.

    options: an option's name and its variables. local: what is looked for on this machine at the start.
    """

    keys: tuple[str, ...] = ()
    base_urls: tuple[str, ...] = ()
    base_url: str = ""  # where the provider is if nobody says otherwise
    needs_key: bool = True
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    local: Local | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """How we reach a provider: the name it has in the config, where it is, and with which key.

    `options` is whatever else the config's table says; an adapter reads what it knows.
    """

    name: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One HTTP request to a provider, ready to be sent."""

    url: str
    body: Body = b""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "POST"

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self.body) if isinstance(self.body, bytes) else sum(map(len, self.body))


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a provider offers. `extra` is what the provider says of it beyond OpenAI's four members."""

    id: str
    created: int = 0
    owned_by: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a provider goes about one question, where that is not as it usually does.

    first_frame: seconds a first frame may take, if the config does not say. comments_count: keep-alive comments show
    that it is at work. once: a run is too dear to be repeated; after it was sent the question is not sent again.
    """

    first_frame: float | None = None
    comments_count: bool = False
    once: bool = False


class Translator(Protocol):
    """Carries one reply from the provider's bytes to OpenAI's. Made anew for each attempt.

    What `feed` and `finish` give are whole frames, ready for the client. Both may raise UpstreamError after having given
    some; those are still good. They are held back until `started`, unless it has a true `shows_early`: the client then
    asked to see the work on its answer. One with a `grace`, seconds, is given no more time than that once this is not None:
    the provider has said the end, and `finish` is called even where the connection lingers or breaks.
    """

    @property
    def usage(self) -> Usage | None:
        """As far as the provider has said."""
        ...

    @property
    def started(self) -> bool:
        """A real frame has come: text, reasoning, a tool call, a finish; not comments, roles, empty deltas."""
        ...

    @property
    def done(self) -> bool:
        """The answer is complete; what the provider sends after it is of no interest."""
        ...

    @property
    def produced(self) -> int:
        """Characters of text so far, for whoever must estimate."""
        ...

    def feed(self, data: bytes) -> Iterable[bytes]:
        """The next bytes of a 2xx reply."""
        ...

    def finish(self) -> Iterable[bytes]:
        """The provider closed properly. Gives what is still owed; raises Truncated if the answer was cut."""
        ...


class Adapter(Protocol):
    """One provider. Built once from its Account."""

    environment: ClassVar[Environment]
    account: Account
    many: bool  # whether `n > 1` may be asked in one request
    first_frame: float  # seconds a first frame may take, if the config does not say
    speaks: frozenset[Face]  # the dialects in which it is asked as the client asked; older adapters name it `faces`

    def __init__(self, account: Account) -> None: ...

    def request(self, chat: Chat) -> Outgoing:
        """Renders the question. Raises BadRequest for what the provider could never take."""
        ...

    def translator(self, chat: Chat) -> Translator:
        """A fresh translator for the reply to `request(chat)`."""
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """What a reply with a status other than 2xx means. `headers` have lower-case names."""
        ...


def speaks(adapter: Adapter) -> frozenset[Face]:
    """The dialects in which an adapter's provider is asked as the client asked; `faces` counts where it was set later."""
    for members in (vars(adapter) if hasattr(adapter, "__dict__") else {}, *map(vars, type(adapter).__mro__)):
        for name in ("speaks", "faces"):
            if name in members:
                return frozenset(getattr(adapter, name))
    return frozenset()


@runtime_checkable
class ListsModels(Protocol):
    """An adapter whose provider can be asked for its models."""

    def models_request(self, page: str | None = None) -> Outgoing: ...

    def models(self, body: bytes) -> tuple[Sequence[Model], str | None]:
        """The models of one page, and the next page's token if there is one."""
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """An adapter whose provider can be asked how many tokens a request has."""

    def count_request(self, chat: Chat) -> Outgoing | None:
        """The question, for a chat or for a request in a dialect that the adapter speaks; None where it is not counted."""
        ...

    def counted(self, body: bytes) -> int:
        """The count in the answer. Raises Malformed."""
        ...


@runtime_checkable
class KnowsPace(Protocol):
    """An adapter whose provider goes about some questions otherwise."""

    def pace(self, chat: Chat) -> Pace: ...


@runtime_checkable
class Learns(Protocol):
    """An adapter that learns from a refusal what its provider does not take."""

    def learn(self, chat: Chat, error: UpstreamError) -> bool:
        """Whether the same question is to be asked again, now without it."""
        ...


@runtime_checkable
class TakesFew(Protocol):
    """An adapter whose provider takes only so many texts in one embeddings request; more are several requests."""

    inputs_at_once: int


@runtime_checkable
class KnowsModels(Protocol):
    """An adapter that knows (some of) its provider's models as data."""

    known_models: Sequence[Model]


@runtime_checkable
class InProcess(Protocol):
    """An adapter whose provider lives in this process: it answers itself, with the bytes a provider would send."""

    def answer(self, chat: Chat) -> AsyncGenerator[bytes, None]: ...


class Step(Protocol):
    """One stage of a translation over parsed events, in the order they come. Stages are composed by piping."""

    def feed(self, event: Json) -> Iterable[Json]: ...

    def finish(self) -> Iterable[Json]: ...


class Counting(Step, Protocol):
    """A step that says the provider's usage once, at the end, though it was counted all along."""

    def counted(self) -> Json:
        """OpenAI's usage object of what was counted so far, empty if that is nothing: for who stops in between."""
        ...


class Accounting(Step, Protocol):
    """A step that knows what is billed better than OpenAI's usage object can say it."""

    def accounted(self) -> Usage | None:
        """What was counted so far; None if nothing was."""
        ...
