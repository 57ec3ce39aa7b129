"""Extracts the beginning of a conversation, which is the same in all of its turns, in any dialect."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from llmproxy.core.chat import Chat, Json

from .texts import as_openai, texts

_SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction")
_TURNS = ("messages", "input", "contents")
_SYSTEM_ROLES = ("system", "developer")
_EDGE = 16_000  # characters of each text that are used
_CHANGES = (
    "x-anthropic-billing-header:"  # the start of a block in Claude Code's system prompt that changes between turns
)


def fingerprint(chat: Chat, owner: str) -> bytes | None:
    """16 bytes from the owner, the model, the system prompt and the first user message; None if there is no conversation.

    A request that continues an earlier response has the beginning of that response.
    """
    if chat.face in ("completions", "embeddings"):
        return None
    body = as_openai(chat).body if chat.body.get("previous_response_id") else chat.body
    system, first = [*_system(body)], _first(body)
    if first is None:
        return None
    digest = blake2b(digest_size=16)
    for text in (owner, chat.model, "\n".join(system), "\n".join(texts(_content(first)))):
        part = text[:_EDGE].encode("utf-8", "replace")
        digest.update(b"%d:%b" % (len(part), part))
    return digest.digest()


def _turns(body: Json) -> list[Json]:
    turns = next((body[name] for name in _TURNS if name in body), None)
    if isinstance(turns, str):  # of Responses
        return [{"role": "user", "content": turns}]
    return [one for one in turns if isinstance(one, dict)] if isinstance(turns, list) else []


def _first(body: Json) -> Json | None:
    """The first user message. Gemini's contents have no role if there is only one."""
    users = (one for one in _turns(body) if one.get("role", "user" if "parts" in one else "") == "user")
    return next(users, None)


def _system(body: Json) -> Iterator[str]:
    for name in _SYSTEM:
        yield from (one for one in texts(_content(body.get(name))) if not one.startswith(_CHANGES))
    for turn in _turns(body):
        if turn.get("role") not in _SYSTEM_ROLES:
            return
        yield from (one for one in texts(_content(turn)) if not one.startswith(_CHANGES))


def _content(given: object) -> object:
    """The content of a message, or the parts of a Gemini content; other values are content themselves."""
    if not isinstance(given, dict):
        return given
    return given.get("parts", given.get("content"))
