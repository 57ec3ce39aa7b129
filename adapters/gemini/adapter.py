"""Google's Gemini by its native REST API, `generateContent`, at the Gemini API or at Vertex (by `base_url`).

Why not Google's OpenAI-compatible endpoint: it ends tool calls with `stop`, gives parallel calls no index, and mixes
thoughts into the text. Why not the google-genai SDK: it repeats POSTs by itself, and does not close the connection on cancel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import parse_qsl, quote, urlencode

import orjson

from llmproxy.adapter_kit import (
    Account,
    Chat,
    Environment,
    Face,
    Json,
    Malformed,
    Model,
    ModelNotFound,
    Outgoing,
    Relay,
    Translator,
    UpstreamError,
    Vectors,
    refuses_thoughts,
)

from .models import abilities, with_rows
from .signatures import Signatures

# The other modules are imported where they are used, so that a start without Gemini stays fast.

BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
PAGE = 1000  # models per page, Google's maximum
_VERSIONED = re.compile(r"/v\d+\w*(?=/|$)")
_ENDPOINT = re.compile(r"/(?:models(?:/[^/]*)?|openai(?:/chat/completions)?)$")
_USES = {"generateContent": "chat", "embedContent": "embeddings", "batchEmbedContents": "embeddings"}


class Gemini:
    """options: `models` (rows for the table of abilities), `safety_settings`, `thoughts` (false hides them)."""

    environment: ClassVar[Environment] = Environment(
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        base_urls=("GEMINI_BASE_URL", "GOOGLE_BASE_URL"),
        base_url=BASE_URL,
        needs_key=True,
    )
    speaks: frozenset[Face] = frozenset(("chat", "embeddings", "gemini"))
    # Newer models and streams refuse candidateCount, so `n` answers are `n` requests.
    many = False
    streams_metered = True
    inputs_at_once = 100  # "at most 100 requests can be in one batch" (helix-py#43, lancedb#3618)
    first_frame = 180.0  # seconds: with hidden thoughts a model may be silent for minutes

    def __init__(self, account: Account) -> None:
        self.account = account
        self._base, self._query = _address(account.base_url)
        self._rows = with_rows(account.options.get("models"))
        self._signatures = Signatures()

    def request(self, chat: Chat) -> Outgoing:
        from . import embeddings, request

        name = _resource(chat.model)
        if chat.face == "embeddings":
            return self._post(f"{name}:batchEmbedContents", orjson.dumps(embeddings.render(chat, name)))
        if chat.dialect is not None:
            return self._passed_on(name, chat)
        can = abilities(chat.model, self._rows)
        body = request.render(chat, can, self._signatures, self.account.options, server_side=not self._is_vertex)
        streams = chat.stream or chat.trace.purse is not None  # so that a budget is checked during the answer
        return self._generate(name, streams, orjson.dumps(body))

    def translator(self, chat: Chat) -> Translator:
        from . import embeddings
        from .reply import Answer

        if chat.face == "embeddings":
            return Vectors(chat, embeddings.reader(chat), self._in_band)
        if chat.dialect is not None:
            return chat.dialect.watch(chat, self._in_band)
        return Relay(chat, Answer(chat, self._signatures), blame=self._in_band)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        from . import errors

        return errors.parse_error(status, headers, body, self.account.api_key)

    def learn(self, chat: Chat, error: UpstreamError) -> bool:
        """Forgets remembered signatures after a refusal; returns whether there were any, so that a retry makes sense."""
        if chat.dialect is not None or not refuses_thoughts(error):
            return False
        calls = [call for one in chat.messages for call in one.get("tool_calls") or () if isinstance(call, dict)]
        return any(self._signatures.forget(str(call.get("id"))) for call in calls)

    def count_request(self, chat: Chat) -> Outgoing:
        """Counts the whole request, because the system prompt and tools count too. Vertex has no wrapper around it."""
        from llmproxy.adapter_kit import gemini_body

        from . import request

        name = _resource(chat.model)
        if chat.dialect is not None:
            counting = orjson.loads(gemini_body(chat))
        else:
            can = abilities(chat.model, self._rows)
            counting = request.render(
                chat, can, self._signatures, self.account.options, server_side=not self._is_vertex
            )
        body = counting if self._is_vertex else {"generateContentRequest": {"model": name, **counting}}
        return self._post(f"{name}:countTokens", orjson.dumps(body))

    def counted(self, body: bytes) -> int:
        try:
            return int(orjson.loads(body)["totalTokens"])
        except (ValueError, KeyError, TypeError) as error:
            raise Malformed("Gemini's token count could not be read: unexpected JSON.") from error

    def models_request(self, page: str | None = None) -> Outgoing:
        query = {"pageSize": str(PAGE), **({"pageToken": page} if page else {})}
        return Outgoing(self._at("models", query), headers=self._headers(), method="GET")

    def models(self, body: bytes) -> tuple[Sequence[Model], str | None]:
        try:
            reply = orjson.loads(body)
            models = [self._model(one) for one in reply.get("models") or () if _uses(one)]
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
            raise Malformed("Google's list of models could not be read: unexpected JSON.") from error
        return models, reply.get("nextPageToken") or None

    @property
    def _is_vertex(self) -> bool:
        return "aiplatform." in self._base or "/publishers/" in self._base

    def _in_band(self, event: Json) -> UpstreamError:
        from . import errors

        return errors.in_band(event, self.account.api_key)

    def _passed_on(self, name: str, chat: Chat) -> Outgoing:
        """The request of a client of Gemini's own API, unchanged."""
        from llmproxy.adapter_kit import gemini_body

        safety = self.account.options.get("safety_settings")
        added = {"safetySettings": safety} if isinstance(safety, (list, tuple)) else {}
        return self._generate(name, chat.stream, gemini_body(chat, **added))

    def _generate(self, name: str, stream: bool, body: bytes) -> Outgoing:
        if stream:
            return self._post(f"{name}:streamGenerateContent", body, alt="sse")
        return self._post(f"{name}:generateContent", body)

    def _post(self, path: str, body: bytes, **query: str) -> Outgoing:
        headers = {"content-type": "application/json", **self._headers()}
        return Outgoing(self._at(path, query), body, headers)

    def _at(self, path: str, query: Mapping[str, str]) -> str:
        members = urlencode({**self._query, **query})
        return f"{self._base}/{path}?{members}" if members else f"{self._base}/{path}"

    def _headers(self) -> dict[str, str]:
        key = self.account.api_key
        # Vertex uses access tokens, not API keys. A key is never in the URL, because URLs are logged.
        auth = {"authorization": f"Bearer {key}"} if key.startswith("ya29.") else {"x-goog-api-key": key}
        return {**(auth if key else {}), **self.account.headers}

    def _model(self, entry: Json) -> Model:
        id = entry["name"].removeprefix("models/")
        can = abilities(id, self._rows)
        uses = _uses(entry)
        extra: Json = {
            "name": entry.get("displayName"),
            "description": entry.get("description"),
            "context_length": entry.get("inputTokenLimit"),
            "max_output": entry.get("outputTokenLimit"),
            "uses": uses,
        }
        if "chat" in uses:
            extra |= {
                "input": list(can.input),
                "tools": can.functions,
                "reasoning": bool(entry.get("thinking", can.thinks)),
            }
        return Model(id, owned_by="google", extra={key: value for key, value in extra.items() if value is not None})


def _uses(entry: Json) -> list[str]:
    """The endpoints of the gateway that a model supports; none for models of video, live audio and the like."""
    methods = entry.get("supportedGenerationMethods") or ()
    return list(dict.fromkeys(_USES[method] for method in methods if method in _USES))


def _address(given: str) -> tuple[str, Mapping[str, str]]:
    """Base URL without its query, and the query. A version is added to a bare host; the path of a model or of the compatible
    endpoint is removed. Raises ValueError for a key in the query."""
    base, _, query = (given or BASE_URL).partition("?")
    members = dict(parse_qsl(query))
    members.pop("alt", None)
    if "key" in members:
        raise ValueError("base_url must not hold the key: put it into api_key, and take ?key=... away")
    base = _ENDPOINT.sub("", base.rstrip("/"))
    path = "/" + base.partition("://")[2].partition("/")[2]
    return (base if _VERSIONED.search(path) else f"{base}/v1beta"), members


def _resource(model: str) -> str:
    """`models/NAME`, or the path of a tuned model. Raises ModelNotFound for a name with unsafe path segments."""
    if not model or any(step in ("", ".", "..") for step in model.split("/")):
        raise ModelNotFound(f"Gemini has no model {model!r}.", param="model")
    name = quote(model, safe="/@")
    return name if name.startswith(("models/", "tunedModels/")) else f"models/{name}"
