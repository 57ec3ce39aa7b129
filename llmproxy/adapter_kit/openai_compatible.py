"""Base class of adapters for OpenAI-compatible providers; most adapters override a few attributes."""

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
from llmproxy.wire.whole_answer import WholeAnswer, may_pass

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

# Members that a translation may have added and that a model can do without.
_OPTIONAL = ("reasoning_effort", "parallel_tool_calls", "top_k", "user", "service_tier", "logprobs")
_WITH_USAGE = {"include_usage": True}
_MODELS = 1000  # number of models whose refusals are remembered
_ENDINGS = (*_PATHS.values(), "/models")


class OpenAICompatible:
    """Subclasses change class attributes first, then `headers`, `adapt`, `steps` or `judge`, and other methods only if needed.

    always_stream: ask for a stream even if the client did not, because only then does a cancel stop the model.
    asks_usage: the provider accepts `stream_options.include_usage`.
    takes_images: the provider takes images that a model made, in `images` of its message; elsewhere they are dropped and named.
    hides: members of messages and of tool calls that a client of another dialect has returned and that this provider does not need.
    keeps_responses: the provider supports all of OpenAI's Responses API, including earlier responses by ID.
    counts: where the provider counts tokens, by dialect; `chat` is also used for requests that are translated.
    hint: how the provider is told which requests belong to one conversation.
    checked_hooks: the methods that are called here, with their number of arguments; checked when an adapter is loaded.
    """

    environment: ClassVar[Environment] = Environment()
    speaks: frozenset[Face] = frozenset(("chat", "completions", "embeddings"))
    many = True
    first_frame = 120.0
    always_stream = False
    asks_usage = True
    keeps_responses = False
    streams_metered = True  # ask for a stream also if a budget must be metered while the answer grows
    takes_images = False
    hides: ClassVar[tuple[str, ...]] = ()
    drops: ClassVar[tuple[str, ...]] = ()  # parameters that the provider refuses or cannot use
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
        self._no_hint = False  # learned: the provider refuses the hint
        self._no_options = False  # learned: the provider refuses `stream_options`
        self._refused: dict[str, set[str]] = {}  # by model: members that a translation added and this model refuses
        self.base_url, self.query = address(account.base_url or self.environment.base_url)
        self._headers = {"Content-Type": "application/json", **self.headers(), **account.headers}

    # What a subclass may override

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.account.api_key}"} if self.account.api_key else {}

    def url(self, chat: Chat) -> str:
        return self.at(_PATHS[chat.face])

    def adapt(self, chat: Chat) -> Chat:
        """Changes the request to the provider's own form."""
        return chat

    def steps(self, chat: Chat) -> Sequence[Step]:
        """The steps that convert the provider's events to OpenAI's chunks."""
        return ()

    def judge(self, error: UpstreamError) -> UpstreamError:
        """Corrects an error, however it was received, if this provider uses a status or code in another sense."""
        return error

    def hinted(self, name: str) -> Json:
        """The members of the body that tell the provider the name of the conversation."""
        return {self.hint.member: name} if self.hint is not None and self.hint.member else {}

    def at(self, path: str) -> str:
        """The URL of a path at the provider, with the query of the configured address."""
        return f"{self.base_url}{path}{self.query}"

    # The contract

    def request(self, chat: Chat) -> Outgoing:
        if chat.dialect is not None:  # the provider has this dialect: the client's members are sent unchanged
            chat = chat.dialect.passed(chat, self) if isinstance(chat.dialect, Adapts) else chat
            added, headers = self._hints(chat)
            return Outgoing(self.url(chat), chat.render(**added), {**self._headers, **chat.headers, **headers})
        chat = chat.drop("stream_options") if self._no_options else chat
        chat = self._translated(chat) if chat.encoder is not None or chat.composed else chat
        chat = self.adapt(chat.drop(*self.drops) if self.drops else chat)
        added, headers = self._hints(chat)
        return Outgoing(
            self.url(chat), self._body(chat, added), {**self._headers, **headers} if headers else self._headers
        )

    @property
    def takes_hint(self) -> bool:
        """Whether the gateway should determine the conversation of a request."""
        return self.hint is not None and not self._no_hint

    def learn(self, chat: Chat, error: UpstreamError) -> bool:
        """Whether to send the same request again, because the refused part is now left out: `stream_options`, which some
        servers do not know, and parameters that clients of other dialects send for every model.
        """
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
        """Claude Code and Codex send an effort with every request; a model without reasoning refuses it."""
        refusal, known = f"{error.param} {error.message}", self._refused.get(chat.model, set())
        found = next((one for one in _OPTIONAL if one in refusal and one in chat.body and one not in known), None)
        if found is None or len(self._refused) > _MODELS:
            return False
        self._refused.setdefault(chat.model, set()).add(found)
        return True

    def _translated(self, chat: Chat) -> Chat:
        """A request that the client did not write so, without members that only other providers need or that this model refuses."""
        refused = self._refused.get(chat.model)
        chat = chat.drop(*refused) if refused else chat
        chat = chat if self.takes_images else _without_images(chat)
        if not self.hides:
            return chat
        hidden = frozenset(self.hides)
        messages = [_without(message, hidden) for message in chat.messages]
        return chat.with_fields(messages=messages) if messages != chat.messages else chat

    def translator(self, chat: Chat) -> Translator:
        if chat.face == "embeddings":
            return Vectors(chat, blame=self._blame)
        if chat.dialect is not None:
            return chat.dialect.watch(chat, self._blame)
        steps = self.steps(chat)
        return Relay(chat, *steps, blame=self._blame) if steps or not may_pass(chat) else WholeAnswer(chat, self._blame)

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
        body = chat.with_fields(**dict.fromkeys(left_out)).render() if left_out else chat.render()
        return Outgoing(self.at(path), body, {**self._headers, **chat.headers})

    def counted(self, body: bytes) -> int:
        return input_tokens(body)

    def models_request(self, page: str | None = None) -> Outgoing:
        return Outgoing(self.at("/models"), headers=self._headers, method="GET")

    def models(self, body: bytes) -> tuple[Sequence[Model], str | None]:
        return [model for one in listed(body) if (model := self.model(one))], None

    def model(self, entry: Json) -> Model | None:
        """One entry of the provider's model list; None to leave it out."""
        extra = {key: value for key, value in entry.items() if key not in ("id", "object", "created", "owned_by")}
        owner = entry.get("owned_by")
        return Model(
            entry["id"], _whole(entry.get("created")), owner if isinstance(owner, str) else self.account.name, extra
        )

    def _blame(self, event: Json) -> UpstreamError:
        return self.judge(in_band(event, self.account.api_key))

    def _hints(self, chat: Chat) -> tuple[Json, Mapping[str, str]]:
        """Members of the body and headers with the conversation's name."""
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
            return (chat if chat.stream else chat.with_fields(stream=True)).render(**added)
        options = chat.body.get("stream_options")
        if options is None and "stream_options" not in chat.body:  # the client's bytes stay as they are
            if chat.stream:
                return chat.render(stream_options=_WITH_USAGE, **added)
            if "stream" not in chat.body:
                return chat.render(stream=True, stream_options=_WITH_USAGE, **added)
        options = {**options, **_WITH_USAGE} if isinstance(options, dict) else _WITH_USAGE
        return chat.with_fields(stream=True, stream_options=options).render(**added)


def _without(message: Json, hidden: frozenset[str]) -> Json:
    """The message without these members, its tool calls too."""
    kept = {name: value for name, value in message.items() if name not in hidden}
    if isinstance(calls := kept.get("tool_calls"), list):
        kept["tool_calls"] = [{name: value for name, value in call.items() if name not in hidden} for call in calls]
    return kept


def _without_images(chat: Chat) -> Chat:
    """The chat without images in the assistant's messages. A turn that was nothing else is left out."""
    if not any(one.get("images") for one in chat.messages):
        return chat
    if "messages.images" not in chat.trace.dropped:
        chat.trace.dropped.append("messages.images")
    kept = [one for one in chat.messages if not one.get("images") or one.get("content") or one.get("tool_calls")]
    return chat.with_fields(messages=[{k: v for k, v in one.items() if k != "images"} for one in kept])


def address(url: str) -> tuple[str, str]:
    """Splits an address as people copy it into the base, without the path of an endpoint, and the query, with its `?`."""
    base, mark, query = url.strip().partition("?")
    base = base.rstrip("/")
    ending = next((path for path in _ENDINGS if base.endswith(path)), "")
    return base.removesuffix(ending).rstrip("/"), mark + query if query else ""


def listed(body: bytes) -> list[Json]:
    """The entries of a model list, `{"data": [...]}` or a bare list. Raises Malformed for anything else."""
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("The provider's model list is not JSON.") from error
    entries = parsed.get("data") if isinstance(parsed, dict) else parsed
    if not isinstance(entries, list):
        raise Malformed("The provider's model list is not a list.")
    return [one for one in entries if isinstance(one, dict) and isinstance(one.get("id"), str) and one["id"]]


def _whole(value: object) -> int:
    """Zero for a value that is not a number, and for a number too large to be written as JSON."""
    return int(value) if isinstance(value, (int, float)) and abs(value) < 2**53 else 0
