"""A Messages request for a provider that speaks Messages: without what the gateway has put into earlier answers."""

from __future__ import annotations

from llmproxy.core.chat import Chat, Json, whole
from llmproxy.wire.foreign_reasoning import is_ours

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


def _own(message: Json) -> Json | None:
    """The message; None where nothing else was in it."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    kept = [_signed(block) for block in content if isinstance(block, dict) and not _is_foreign(block)]
    return {**message, "content": kept} if kept or not content else None


def _is_foreign(block: Json) -> bool:
    return is_ours(block.get("signature")) or is_ours(block.get("data"))


def _signed(block: Json) -> Json:
    citations = block.get("citations")
    if not isinstance(citations, list):
        return block
    kept = [one for one in citations if not (isinstance(one, dict) and one.get("encrypted_index") == "")]
    return {**block, "citations": kept} if len(kept) < len(citations) else block
