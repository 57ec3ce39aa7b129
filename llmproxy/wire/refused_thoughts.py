"""Recognises that a provider refuses the state of earlier reasoning, and removes that state from a chat.

Anthropic checks signatures against the conversation and the organisation, OpenAI decrypts what its account encrypted. Both
answer 400 to unknown state (openai/codex#8145), and so do services that forward requests to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import GatewayError

CODE = "invalid_encrypted_content"  # OpenAI's
_REFUSAL = re.compile(
    r"invalid `?signature`? in `?(?:redacted_)?thinking"
    r"|`?(?:redacted_)?thinking`? blocks? .{0,60}cannot be modified"
    r"|encrypted.content .{0,4000}could not be (?:verified|decrypted)"
    r"|of type 'reasoning' was provided without its required following item"
    r"|item with id 'rs_[^']*' not found"
    r"|thought.signature (?:is )?(?:not valid|invalid)|(?:invalid|corrupted) thought.signature",
    re.IGNORECASE | re.DOTALL,
)
_MEMBERS = ("reasoning_details", "reasoning_content", "reasoning")
_SIGNATURES = frozenset(("thought_signature", "thought_signatures"))  # in `extra_content.<vendor>`, as Google's are
_THOUGHTS = frozenset(
    ("thinking", "redacted_thinking")
)  # blocks of a turn that travels whole in `extra_content.<vendor>`
_HOLDERS = ("tool_calls", "images")  # whose members have an `extra_content` of their own


def refuses_thoughts(error: GatewayError) -> bool:
    """Whether the refusal concerns the state of earlier reasoning in the request."""
    return error.status in (400, 404) and (error.code == CODE or _REFUSAL.search(error.message) is not None)


def without_thoughts(chat: Chat) -> Chat | None:
    """The chat without the reasoning in the assistant's turns, recorded as dropped. None if there is none."""
    kept = [_bare(one) if one.get("role") == "assistant" else one for one in chat.messages]
    if kept == chat.messages:
        return None
    note(chat, "messages.reasoning_details" if _has(chat, _MEMBERS) else "messages.extra_content")
    return chat.with_fields(messages=kept)


def note(chat: Chat, name: str) -> None:
    """Records a dropped parameter in the trace of the chat, once."""
    if name not in chat.trace.dropped:
        chat.trace.dropped.append(name)


def _has(chat: Chat, names: Iterable[str]) -> bool:
    return any(name in one for one in chat.messages if one.get("role") == "assistant" for name in names)


def _bare(message: Json) -> Json:
    bare = _unsigned({name: value for name, value in message.items() if name not in _MEMBERS})
    lists = {name: bare[name] for name in _HOLDERS if isinstance(bare.get(name), list)}
    return {**bare, **{name: [_unsigned(one) for one in held] for name, held in lists.items()}}


def _unsigned(holder: Any) -> Any:
    """A message, a call or an image without the state that is kept in `extra_content` for a vendor."""
    extra = holder.get("extra_content") if isinstance(holder, dict) else None
    if not isinstance(extra, dict):
        return holder
    left = {vendor: _stateless(kept) for vendor, kept in extra.items()}
    return {**holder, "extra_content": {vendor: kept for vendor, kept in left.items() if kept != {}}}


def _stateless(kept: Any) -> Any:
    if not isinstance(kept, dict):
        return kept
    bare = {name: value for name, value in kept.items() if name not in _SIGNATURES}
    if isinstance(blocks := bare.get("content"), list):
        bare["content"] = [one for one in blocks if not (isinstance(one, dict) and one.get("type") in _THOUGHTS)]
    return bare
