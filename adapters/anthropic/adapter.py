"""Anthropic's Claude by its Messages API: clients of Messages are passed through, all others are translated.

Also for servers that are compatible with it, by `base_url`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import parse_qsl, urlencode

import orjson

from llmproxy.adapter_kit import (
    Account,
    Body,
    Chat,
    Environment,
    Face,
    Json,
    Model,
    Outgoing,
    Pace,
    Relay,
    Translator,
    UpstreamError,
)

# The other modules are imported where they are used, so that a start without Anthropic stays fast.

BASE_URL = "https://api.anthropic.com"
VERSION = "2023-06-01"
PAGE = 1000  # models per page, Anthropic's maximum
_VERSIONED = re.compile(r"/v\d+(?=/|$)")
_ENDPOINT = re.compile(r"/(?:messages(?:/count_tokens)?|models)$")
_CLIENT_HEADERS = ("anthropic-version", "anthropic-beta")
_CACHES = {True: {"type": "ephemeral"}, "5m": {"type": "ephemeral"}, "1h": {"type": "ephemeral", "ttl": "1h"}}


class Anthropic:
    """options: `models` (rows for the table of abilities), `cache` (true, "5m" or "1h": sets a cache breakpoint if the client
    sets none), `thoughts` (false hides the thoughts that a chat client asks for)."""

    environment: ClassVar[Environment] = Environment(
        keys=("ANTHROPIC_API_KEY",),
        base_urls=("ANTHROPIC_BASE_URL",),
        base_url=BASE_URL,
        needs_key=True,
    )
    speaks: frozenset[Face] = frozenset(("chat", "messages"))
    many = False  # the API has no `n`
    first_frame = 180.0  # seconds: with hidden thoughts a model may be silent for minutes

    def __init__(self, account: Account) -> None:
        from .abilities import with_rows

        self.account = account
        self._base, self._query = _address(account.base_url)
        self._rows = with_rows(account.options.get("models"))
        self._cache = _cache(account.options.get("cache"))

    def request(self, chat: Chat) -> Outgoing:
        if chat.dialect is not None:
            from llmproxy.adapter_kit import own_reasoning_only

            return self._post("/messages", own_reasoning_only(chat), chat)
        return self._post("/messages", orjson.dumps(self._encoded(chat)), chat)

    def translator(self, chat: Chat) -> Translator:
        if chat.dialect is not None:
            return chat.dialect.watch(chat, self._in_band)
        from llmproxy.adapter_kit import MessagesReply

        return Relay(chat, MessagesReply(chat), blame=self._in_band, marks=True)

    def pace(self, chat: Chat) -> Pace:
        """Pings count as activity: with hidden thoughts nothing else is sent for minutes."""
        return Pace(comments_count=True)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        from . import errors

        return errors.parse_error(status, headers, body, self.account.api_key)

    def count_request(self, chat: Chat) -> Outgoing:
        """The request that counts the tokens of a prompt: of a chat, or of a client's Messages request unchanged."""
        from llmproxy.adapter_kit import COUNTED, own_reasoning_only, whole

        passed = chat.dialect is not None
        counting = orjson.loads(whole(own_reasoning_only(chat))) if passed else self._encoded(chat)
        kept = {name: value for name, value in counting.items() if name in COUNTED["messages"]}
        return self._post("/messages/count_tokens", orjson.dumps(kept), chat)

    def counted(self, body: bytes) -> int:
        from llmproxy.adapter_kit import input_tokens

        return input_tokens(body)

    def models_request(self, page: str | None = None) -> Outgoing:
        query = {"limit": str(PAGE), **({"after_id": page} if page else {})}
        return Outgoing(self._at("/models", query), headers=self._headers({}), method="GET")

    def models(self, body: bytes) -> tuple[Sequence[Model], str | None]:
        from .models import parse_models

        return parse_models(body, self._rows)

    def _encoded(self, chat: Chat) -> Json:
        from llmproxy.adapter_kit import encode_messages

        from .abilities import abilities

        shows = self.account.options.get("thoughts") is not False
        return encode_messages(chat, abilities(chat.model, self._rows), cache=self._cache, shows=shows)

    def _in_band(self, event: Json) -> UpstreamError:
        from . import errors

        return errors.in_band(event, self.account.api_key)

    def _post(self, path: str, body: Body, chat: Chat) -> Outgoing:
        return Outgoing(self._at(path, {}), body, {"content-type": "application/json", **self._headers(chat.headers)})

    def _at(self, path: str, query: Mapping[str, str]) -> str:
        members = urlencode({**self._query, **query})
        return f"{self._base}{path}?{members}" if members else f"{self._base}{path}"

    def _headers(self, client: Mapping[str, str]) -> dict[str, str]:
        """Version and betas are the client's; betas from the configuration are added."""
        key = self.account.api_key
        headers = {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}
        headers |= {name: client[name] for name in _CLIENT_HEADERS if client.get(name)}
        ours = {name.lower(): value for name, value in self.account.headers.items()}
        if ours.get("anthropic-beta") and client.get("anthropic-beta"):
            ours["anthropic-beta"] = f"{client['anthropic-beta']},{ours['anthropic-beta']}"
        return {**headers, **ours}


def _address(given: str) -> tuple[str, Mapping[str, str]]:
    """Base URL with the version and without its query, and the query. SDKs are given the host only, so `/v1` is added."""
    base, _, query = (given or BASE_URL).strip().partition("?")
    base = _ENDPOINT.sub("", base.rstrip("/"))
    path = "/" + base.partition("://")[2].partition("/")[2]
    return (base if _VERSIONED.search(path) else f"{base}/v1"), dict(parse_qsl(query))


def _cache(given: object) -> Json | None:
    """The `cache_control` for the option `cache`. Raises ValueError for an unknown lifetime."""
    if given is None or given is False:
        return None
    if not isinstance(given, (bool, str)) or given not in _CACHES:
        raise ValueError('cache must be true, "5m" or "1h"')
    return dict(_CACHES[given])
