"""What tells a provider which requests belong to one conversation, so that they meet the same prompt cache there."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from llmproxy.core.chat import Chat, Face


@dataclass(frozen=True, slots=True)
class Hint:
    """Where the provider wants it: a member of the body, or a header.

    own: members by which a client says the same itself; then nothing is added. faces: the dialects in which it is known.
    """

    member: str = ""
    header: str = ""
    own: tuple[str, ...] = ()
    faces: frozenset[Face] = frozenset(("chat",))

    def name(self, chat: Chat, secret: bytes) -> str | None:
        """The conversation's name at the provider, 32 hexadecimal digits; None where nothing is to be said."""
        conversation = chat.trace.conversation
        if (
            conversation is None
            or chat.face not in self.faces
            or any(one in chat.body for one in (*self.own, self.member))
        ):
            return None
        return blake2b(conversation, digest_size=16, key=secret).hexdigest()


def secret(api_key: str) -> bytes:
    """The key of the hash: every replica has the same, and nobody who could not ask the provider can guess a prompt by it."""
    return blake2b(api_key.encode("utf-8", "replace"), person=b"conversation").digest()
