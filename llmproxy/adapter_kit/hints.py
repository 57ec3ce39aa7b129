"""Prompt cache hints: tell a provider which requests belong to one conversation, so that they reach the same prompt cache."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from llmproxy.core.chat import Chat, Face


@dataclass(frozen=True, slots=True)
class Hint:
    """Where the provider expects the hint: a member of the body, or a header.

    own: members with which a client sends such a hint itself; then nothing is added. faces: the dialects in which the provider
    knows the hint.
    """

    member: str = ""
    header: str = ""
    own: tuple[str, ...] = ()
    faces: frozenset[Face] = frozenset(("chat",))

    def name(self, chat: Chat, secret: bytes) -> str | None:
        """The conversation's name for the provider, 32 hexadecimal digits; None if there is no hint."""
        conversation = chat.trace.conversation
        if (
            conversation is None
            or chat.face not in self.faces
            or any(one in chat.body for one in (*self.own, self.member))
        ):
            return None
        return blake2b(conversation, digest_size=16, key=secret).hexdigest()


def secret(api_key: str) -> bytes:
    """The key of the hash. It is the same on every replica, and nobody without the provider's key can guess a prompt from the
    hash.
    """
    return blake2b(api_key.encode("utf-8", "replace"), person=b"conversation").digest()
