"""Decides which requests are identical, and which of them may share an answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import NamedTuple

import orjson

from llmproxy.core.chat import Chat, Face, Json

# Members that name who asks and change no answer. Those of Responses are repeated in the answer, and so count.
_IDS: Mapping[Face, frozenset[str]] = {
    "chat": frozenset(("user", "safety_identifier", "prompt_cache_key", "session_id", "metadata")),
    "completions": frozenset(("user",)),
    "embeddings": frozenset(("user",)),
    "messages": frozenset(("metadata",)),
}
_STATE = ("background", "previous_response_id", "conversation", "prompt")  # of Responses: more than the body decides


class Wish(NamedTuple):
    """What a client says. on: None where it says nothing. look: a kept answer will do. keep: its own may be kept and shared."""

    on: bool | None = None
    look: bool = True
    keep: bool = True


class Plan(NamedTuple):
    """How one request takes part. key: the same for the same requests."""

    key: bytes
    look: bool


def wish(value: str | None, cache_control: str) -> Wish:
    """value: of X-LLMProxy-Cache, `on` or `off`. cache_control: the request's header, of which `no-store` and `no-cache` count."""
    said = {one.strip().lower() for one in cache_control.split(",")}
    on = None if value is None else value == "on"
    return Wish(on, look=not said & {"no-cache", "no-store"}, keep="no-store" not in said)


def plan(
    chat: Chat, asked: Wish, patterns: Collection[str], owner: str | None, targets: Iterable[object]
) -> Plan | None:
    """How a request takes part; None if it does not.

    patterns: of names of models for which it is on where the request is deterministic; a client may switch it on for any.
    owner: whose requests are the same; None: everybody's. targets: who may answer.
    """
    if asked.on is False or not asked.keep or _has_state(chat):
        return None
    if not (asked.on or (is_deterministic(chat) and any(fnmatchcase(chat.model, one) for one in patterns))):
        return None
    return Plan(_key(chat, owner, targets), asked.look)


def is_deterministic(chat: Chat) -> bool:
    """Whether the same question is meant to have the same answer: at temperature 0, and vectors always."""
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
    """The form of a stream, where a dialect has several: Gemini's array is not its events."""
    return "" if chat.dialect is None else chat.dialect.stream_type
