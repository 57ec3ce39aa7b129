"""Prepares a Messages request for a provider that speaks Messages: removes what the gateway added to earlier answers."""

from __future__ import annotations

from collections.abc import Callable

from llmproxy.core.chat import Chat, Json, whole
from llmproxy.wire.foreign_reasoning import is_ours
from llmproxy.wire.refused_thoughts import note

_SIGNS = (b"llmproxy.1.", b'"encrypted_index":""')


def own_only(chat: Chat) -> Chat:
    """The request without thoughts of other models and without citations that no provider signed. Unchanged if it has
    neither.
    """
    raw = whole(chat.render())
    if not any(sign in raw for sign in _SIGNS):
        return chat
    messages = chat.body.get("messages")
    if not isinstance(messages, list):
        return chat
    kept = [_cleaned(one) for one in messages if isinstance(one, dict)]
    return chat.with_fields(messages=[one for one in kept if one is not None])


def without_thoughts(chat: Chat) -> Chat | None:
    """The request without all thoughts: if only some were removed, all later ones would be invalid."""
    messages = chat.body.get("messages")
    turns = [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    kept = [bare for one in turns if (bare := _without(one, _is_thought)) is not None]
    if kept == turns:
        return None
    note(chat, "messages.thinking")
    return chat.with_fields(messages=kept)


def _cleaned(message: Json) -> Json | None:
    """The message; None if nothing is left of it."""
    kept = _without(message, _is_foreign)
    if kept is None or not isinstance(kept.get("content"), list):
        return kept
    return {**kept, "content": [_signed(block) for block in kept["content"]]}


def _without(message: Json, is_out: Callable[[Json], bool]) -> Json | None:
    """The message without some blocks; None if nothing is left of it."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    kept = [block for block in content if isinstance(block, dict) and not is_out(block)]
    return {**message, "content": kept} if kept or not content else None


def _is_thought(block: Json) -> bool:
    return block.get("type") in ("thinking", "redacted_thinking")


def _is_foreign(block: Json) -> bool:
    return is_ours(block.get("signature")) or is_ours(block.get("data"))


def _signed(block: Json) -> Json:
    citations = block.get("citations")
    if not isinstance(citations, list):
        return block
    kept = [one for one in citations if not (isinstance(one, dict) and one.get("encrypted_index") == "")]
    return {**block, "citations": kept} if len(kept) < len(citations) else block
