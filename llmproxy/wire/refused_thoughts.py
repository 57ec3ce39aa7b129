"""The state of earlier reasoning that a provider refuses: how it says so, and a chat without that state.

Anthropic checks signatures against the conversation and the organisation, OpenAI decrypts what its account encrypted; both
answer 400 to what they do not know again (openai/codex#8145), and so do those who pass requests on to them.
"""

from __future__ import annotations

import re

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import GatewayError

CODE = "invalid_encrypted_content"  # OpenAI's
_SAID = re.compile(
    r"invalid `?signature`? in `?(?:redacted_)?thinking"
    r"|`?(?:redacted_)?thinking`? blocks? .{0,60}cannot be modified"
    r"|encrypted.content .{0,4000}could not be (?:verified|decrypted)"
    r"|of type 'reasoning' was provided without its required following item"
    r"|item with id 'rs_[^']*' not found"
    r"|thought.signature (?:is )?(?:not valid|invalid)|(?:invalid|corrupted) thought.signature",
    re.IGNORECASE | re.DOTALL,
)
_MEMBERS = ("reasoning_details", "reasoning_content", "reasoning")


def refuses_thoughts(error: GatewayError) -> bool:
    """Whether the refusal is about the state of earlier reasoning in the request."""
    return error.status in (400, 404) and (error.code == CODE or _SAID.search(error.message) is not None)


def without_thoughts(chat: Chat) -> Chat | None:
    """The chat without the reasoning of its assistant's turns, which is noted as dropped. None where it has none."""
    kept = [_bare(one) for one in chat.messages]
    if all(one is other for one, other in zip(kept, chat.messages, strict=True)):
        return None
    note(chat, "messages.reasoning_details")
    return chat.saying(messages=kept)


def note(chat: Chat, name: str) -> None:
    if name not in chat.trace.dropped:
        chat.trace.dropped.append(name)


def _bare(message: Json) -> Json:
    if message.get("role") != "assistant" or not any(name in message for name in _MEMBERS):
        return message
    return {name: value for name, value in message.items() if name not in _MEMBERS}
