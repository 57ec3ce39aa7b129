"""Base class of adapters for OpenAI-compatible providers: most adapters override a few lines of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson

from llmproxy.core.adapter import Account, Environment, Model, Outgoing, Step, Translator
from llmproxy.core.chat import Body, Chat, Face, Json
from llmproxy.core.dialect import Adapts
from llmproxy.core.errors import Malformed, UpstreamError
from llmproxy.wire.embeddings import Vectors
from llmproxy.wire.provider_errors import in_band, parse_error
from llmproxy.wire.relay import Relay

from .counting import COUNTED, input_tokens
from .hints import Hint, secret

_PATHS: Mapping[Face, str] = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
    "messages": "/messages",
    "responses": "/responses",
    "compact": "/responses/compact",
}

# What a translation may have added, and a model may do without.
_WISHES = ("reasoning_effort", "parallel_tool_calls", "top_k", "user", "service_tier", "logprobs")
_MODELS = 1000  # whose refusals are remembered
_ENDINGS = (*_PATHS.values(), "/models")


class OpenAICompatible:
    """Subclasses change class attributes first, `headers`, `adapt`, `steps` or `judge` next, and only then a method.

    always_stream: ask for a stream even if the client did not, because only then does a cancel reach the model.
    asks_usage: the provider understands `stream_options.include_usage`.
    hides: members of messages that a client of another dialect has given back and that mean nothing to this provider.
    keeps_responses: of Responses the provider knows everything that OpenAI does, earlier responses by their ids among it.
    counts: where the provider counts the tokens of a request in a dialect; also of a `chat`, which others are translated to.
    hint: how the provider is told which requests belong to one conversation.
    checked_hooks: the methods that are called here, with the number of their arguments; checked when an adapter is loaded.
    """

    environment: ClassVar[Environment] = Environment()
    speaks: frozenset[Face] = frozenset(("chat", "completions", "embeddings"))
    many = True
    first_frame = 120.0
    always_stream = False
    asks_usage = True
    keeps_responses = False
    streams_metered = True  # a stream is also asked for where a budget must be watched while the answer grows
    hides: ClassVar[tuple[str, ...]] = ()
    drops: ClassVar[tuple[str, ...]] = ()  # parameters the provider refuses or cannot use
    known_models: Sequence[Model] = ()
    counts: ClassVar[Mapping[Face, str]] = {}
    hint: Hint | None = None
    checked_hooks: ClassVar[Mapping[str, int]] = {
        "headers": 0,
        "url": 1,
        "adapt": 1,
        "steps": 1,
        "judge": 1,
        "model": 1,
        "hinted": 1,
    }

    def __init__(self, account: Account) -> None:
        self.account = account
        self._secret = secret(account.api_key)
        self._no_hint = False  # the provider refuses it: learnt from its answer
        self._no_options = False  # the provider refuses `stream_options`: learnt from its answer
        self._refused: dict[str, set[str]] = {}  # by model: what a translation has added and this model refuses
        self.base_url, self.query = address(account.base_url or self.environment.base_url)
        self._headers = {"Content-Type": "application/json", **self.headers(), **account.headers}

    # What a subclass may say differently

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.account.api_key}"} if self.account.api_key else {}

    def url(self, chat: Chat) -> str:
        return self.at(_PATHS[chat.face])

    def adapt(self, chat: Chat) -> Chat:
        """The question in the provider's own words."""
        return chat

    def steps(self, chat: Chat) -> Sequence[Step]:
        """What turns the provider's events into OpenAI's chunks."""
        return ()

    def judge(self, error: UpstreamError) -> UpstreamError:
        """The error, however it came: corrected where this provider means something else by it."""
        return error

    def hinted(self, name: str) -> Json:
        """The members of the body that tell the provider the name of the conversation."""
        return {self.hint.member: name} if self.hint is not None and self.hint.member else {}

    def at(self, path: str) -> str:
        """The address of a path at the provider, with the query that the configured address has."""
        return f"{self.base_url}{path}{self.query}"

    # The contract

    def request(self, chat: Chat) -> Outgoing:
        if chat.dialect is not None:  # the provider speaks it: what the client wrote goes out
            chat = chat.dialect.passed(chat, self) if isinstance(chat.dialect, Adapts) else chat
            added, headers = self._hints(chat)
            return Outgoing(self.url(chat), chat.render(**added), {**self._headers, **chat.headers, **headers})
        chat = chat.drop("stream_options") if self._no_options else chat
        chat = self._translated(chat) if chat.encoder is not None else chat
        chat = self.adapt(chat.drop(*self.drops) if self.drops else chat)
        added, headers = self._hints(chat)
        return Outgoing(
            self.url(chat), self._body(chat, added), {**self._headers, **headers} if headers else self._headers
        )

    @property
    def takes_hint(self) -> bool:
        """Whether the gateway is to find out which conversation a request belongs to."""
        return self.hint is not None and not self._no_hint

    def learn(self, chat: Chat, error: UpstreamError) -> bool:
        """Whether the same question is to be asked again, as the refusal was about something that is left out from now on:
        `stream_options`, which some servers do not know, and what clients of other dialects send whatever the model is."""
        if error.status not in (400, 422):
            return False
        return (
            self._learn_hint(error)
            or self._learn_options(chat, error)
            or (chat.encoder is not None and self._learn_member(chat, error))
        )

    def _learn_hint(self, error: UpstreamError) -> bool:
        if not self.takes_hint or not any(name in f"{error.param} {error.message}" for name in self.hinted("0" * 32)):
            return False
        self._no_hint = True
        return True

    def _learn_options(self, chat: Chat, error: UpstreamError) -> bool:
        given = chat.body.get("stream_options")
        ours = given is None or (isinstance(given, dict) and given.keys() <= {"include_usage"})
        named = "stream_options" in f"{error.param} {error.message}" or "include_usage" in error.message
        if self._no_options or not (ours and named):
            return False
        self._no_options, self.asks_usage = True, False
        return True

    def _learn_member(self, chat: Chat, error: UpstreamError) -> bool:
        """Claude Code and Codex send an effort with every question; a model that does not think refuses it."""
        said, known = f"{error.param} {error.message}", self._refused.get(chat.model, set())
        found = next((one for one in _WISHES if one in said and one in chat.body and one not in known), None)
        if found is None or len(self._refused) > _MODELS:
            return False
        self._refused.setdefault(chat.model, set()).add(found)
        return True

    def _translated(self, chat: Chat) -> Chat:
        """A question that was put in another dialect, without what only other providers want or what this model refuses."""
        refused = self._refused.get(chat.model)
        chat = chat.drop(*refused) if refused else chat
        if not self.hides or not any(name in message for message in chat.messages for name in self.hides):
            return chat
        hidden = frozenset(self.hides)
        return chat.saying(messages=[{k: v for k, v in one.items() if k not in hidden} for one in chat.messages])

    def translator(self, chat: Chat) -> Translator:
        if chat.face == "embeddings":
            return Vectors(chat, blame=self._blame)
        if chat.dialect is not None:
            return chat.dialect.watch(chat, self._blame)
        return Relay(chat, *self.steps(chat), blame=self._blame)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return self.judge(parse_error(status, headers, body, self.account.api_key))

    def count_request(self, chat: Chat) -> Outgoing | None:
        path = self.counts.get(chat.face)
        if path is None:
            return None
        if isinstance(chat.dialect, Adapts):
            chat = chat.dialect.passed(chat, self)
        wanted = COUNTED.get(chat.face, frozenset(chat.body))
        left_out = [name for name in chat.body if name not in wanted or name == "stream"]
        body = chat.saying(**dict.fromkeys(left_out)).render() if left_out else chat.render()
        return Outgoing(self.at(path), body, {**self._headers, **chat.headers})

    def counted(self, body: bytes) -> int:
        return input_tokens(body)

    def models_request(self, page: str | None = None) -> Outgoing:
        return Outgoing(self.at("/models"), headers=self._headers, method="GET")

    def models(self, body: bytes) -> tuple[Sequence[Model], str | None]:
        return [model for one in listed(body) if (model := self.model(one))], None

    def model(self, entry: Json) -> Model | None:
        """One entry of the provider's list; None to leave it out."""
        extra = {key: value for key, value in entry.items() if key not in ("id", "object", "created", "owned_by")}
        owner = entry.get("owned_by")
        return Model(
            entry["id"], _whole(entry.get("created")), owner if isinstance(owner, str) else self.account.name, extra
        )

    def _blame(self, event: Json) -> UpstreamError:
        return self.judge(in_band(event, self.account.api_key))

    def _hints(self, chat: Chat) -> tuple[Json, Mapping[str, str]]:
        """What the conversation's name adds to the body and to the headers."""
        name = self.hint.name(chat, self._secret) if self.hint is not None and not self._no_hint else None
        if self.hint is None or name is None:
            return {}, {}
        return self.hinted(name), {self.hint.header: name} if self.hint.header else {}

    def _body(self, chat: Chat, added: Json) -> Body:
        if chat.face == "embeddings":
            return chat.render()
        metered = self.streams_metered and chat.trace.purse is not None and chat.face in ("chat", "completions")
        if not (chat.stream or self.always_stream or metered):
            return chat.render(**added)
        if not self.asks_usage:
            return (chat if chat.stream else chat.saying(stream=True)).render(**added)
        options = chat.body.get("stream_options")
        if chat.stream and options is None and "stream_options" not in chat.body:
            return chat.render(stream_options={"include_usage": True}, **added)
        options = {**options, "include_usage": True} if isinstance(options, dict) else {"include_usage": True}
        return chat.saying(stream=True, stream_options=options).render(**added)


def address(url: str) -> tuple[str, str]:
    """What people copy as an address, split: the base, without the path of one endpoint, and the query, with its `?`."""
    base, mark, query = url.strip().partition("?")
    base = base.rstrip("/")
    ending = next((path for path in _ENDINGS if base.endswith(path)), "")
    return base.removesuffix(ending).rstrip("/"), mark + query if query else ""


def listed(body: bytes) -> list[Json]:
    """The entries of a models list, `{"data": [...]}` or a bare list. Raises Malformed for anything else."""
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("The provider's models list is not JSON.") from error
    entries = parsed.get("data") if isinstance(parsed, dict) else parsed
    if not isinstance(entries, list):
        raise Malformed("The provider's models list is no list.")
    return [one for one in entries if isinstance(one, dict) and isinstance(one.get("id"), str) and one["id"]]


def _whole(value: object) -> int:
    """Zero for what is no number, and for one so large that it could not be written as JSON again."""
    return int(value) if isinstance(value, (int, float)) and abs(value) < 2**53 else 0
