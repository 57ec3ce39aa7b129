"""A Messages request for a provider that speaks Messages: without what the gateway has put into earlier answers."""

from __future__ import annotations

from collections.abc import Callable

from llmproxy.core.chat import Chat, Json, whole
from llmproxy.wire.foreign_reasoning import is_ours
from llmproxy.wire.refused_thoughts import note

_SIGNS = (b"llmproxy.1.", b'"encrypted_index":""')


def own_only(chat: Chat) -> Chat:
    """The request without other models' thoughts and without citations that no provider has signed.

    As it came, where it has neither.
    """
    raw = whole(chat.render())
    if not any(sign in raw for sign in _SIGNS):
        return chat
    messages = chat.body.get("messages")
    if not isinstance(messages, list):
        return chat
    kept = [_own(one) for one in messages if isinstance(one, dict)]
    return chat.saying(messages=[one for one in kept if one is not None])


def without_thoughts(chat: Chat) -> Chat | None:
    """The request without any thoughts: a hole among them would make all later ones invalid."""
    messages = chat.body.get("messages")
    turns = [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    kept = [said for one in turns if (said := _without(one, _is_thought)) is not None]
    if kept == turns:
        return None
    note(chat, "messages.thinking")
    return chat.saying(messages=kept)


def _own(message: Json) -> Json | None:
    """The message; None where nothing else was in it."""
    kept = _without(message, _is_foreign)
    if kept is None or not isinstance(kept.get("content"), list):
        return kept
    return {**kept, "content": [_signed(block) for block in kept["content"]]}


def _without(message: Json, is_out: Callable[[Json], bool]) -> Json | None:
    """The message without some of its blocks; None where nothing else was in it."""
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
