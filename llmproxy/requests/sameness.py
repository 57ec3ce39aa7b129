"""Decides which requests are identical, and which of them may share an answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import NamedTuple

import orjson

from llmproxy.core.chat import Chat, Face, Json

# Members that identify the user and change no answer. Those of Responses are repeated in the answer, so they count.
_IDS: Mapping[Face, frozenset[str]] = {
    "chat": frozenset(("user", "safety_identifier", "prompt_cache_key", "session_id", "metadata")),
    "completions": frozenset(("user",)),
    "embeddings": frozenset(("user",)),
    "messages": frozenset(("metadata",)),
}
_STATE = (
    "background",
    "previous_response_id",
    "conversation",
    "prompt",
)  # of Responses: the answer depends on more than the body


class CacheOptions(NamedTuple):
    """What the client wants. on: None if it says nothing. look: a stored answer may be used. keep: its own answer may be
    stored and shared.
    """

    on: bool | None = None
    look: bool = True
    keep: bool = True


class Plan(NamedTuple):
    """How one request takes part in sharing. key: equal for identical requests."""

    key: bytes
    look: bool


def cache_options(value: str | None, cache_control: str) -> CacheOptions:
    """value: of X-LLMProxy-Cache, `on` or `off`. cache_control: the request's header; only `no-store` and `no-cache` are used."""
    directives = {one.strip().lower() for one in cache_control.split(",")}
    on = None if value is None else value == "on"
    return CacheOptions(on, look=not directives & {"no-cache", "no-store"}, keep="no-store" not in directives)


def plan(
    chat: Chat, wanted: CacheOptions, patterns: Collection[str], owner: str | None, targets: Iterable[object]
) -> Plan | None:
    """How a request takes part; None if it does not.

    patterns: model names for which sharing is on for deterministic requests; a client may switch it on for any model. owner:
    requests are shared only within this owner; None: between all. targets: providers that may answer.
    """
    if wanted.on is False or not wanted.keep or _has_state(chat):
        return None
    if not (wanted.on or (is_deterministic(chat) and any(fnmatchcase(chat.model, one) for one in patterns))):
        return None
    return Plan(_key(chat, owner, targets), wanted.look)


def is_deterministic(chat: Chat) -> bool:
    """Whether the same request is meant to have the same answer: at temperature 0, and embeddings always."""
    if chat.face == "embeddings":
        return True
    body = chat.body
    if chat.face == "gemini":
        body = body.get("generationConfig") or body.get("generation_config") or {}
    temperature = body.get("temperature") if isinstance(body, dict) else None
    return isinstance(temperature, (int, float)) and not isinstance(temperature, bool) and temperature == 0


def _has_state(chat: Chat) -> bool:
    if chat.face != "responses":
        return False
    return chat.body.get("store") is not False or any(chat.body.get(name) for name in _STATE)


def _key(chat: Chat, owner: str | None, targets: Iterable[object]) -> bytes:
    dropped = _IDS.get(chat.face, frozenset())
    body: Json = {name: value for name, value in chat.body.items() if name not in dropped}
    where = [owner, chat.face, chat.model, chat.stream, sorted(map(str, targets)), sorted(chat.headers.items())]
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    return blake2b(orjson.dumps([where, _form(chat), body], option=options), digest_size=24).digest()


def _form(chat: Chat) -> str:
    """The form of the stream, if a dialect has several: Gemini's array differs from its events."""
    return "" if chat.dialect is None else chat.dialect.stream_type
