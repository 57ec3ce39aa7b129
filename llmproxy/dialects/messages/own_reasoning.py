"""Prepares a Messages request for Anthropic itself: removes thoughts of other models, which Anthropic refuses."""

from __future__ import annotations

import re

import orjson

from llmproxy.core.chat import Body, Chat, Json

from .encode_messages import THOUGHTS, is_own_thought
from .pass_on import own_only

_UNSIGNED = re.compile(rb'"(?:signature|data)"\s*:\s*(?:""|null)|"thinking"\s*:\s*"')


def own_reasoning_only(chat: Chat) -> Body:
    """The client's bytes; rewritten only if they have thoughts that would be refused. The thinking budget is removed
    too if the open tool turn then lacks the thoughts that it must have.
    """
    chat = own_only(chat)
    messages = chat.body.get("messages")
    if isinstance(messages, list) and _UNSIGNED.search(chat.raw if chat.raw is not None else orjson.dumps(messages)):
        kept = [own for one in messages if (own := _without_foreign_thoughts(one)) is not None]
        chat = chat if kept == messages else chat.with_fields(messages=kept)
    return (chat.with_fields(thinking=None) if _needs_thoughts(chat) else chat).render()


def _without_foreign_thoughts(message: object) -> object | None:
    """The message without foreign and unsigned thoughts; None if nothing else was in it."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(message, dict) or message.get("role") != "assistant" or not isinstance(content, list):
        return message
    kept = [one for one in content if not (_is_thought(one) and not is_own_thought(one))]
    return {**message, "content": kept} if kept else None


def _is_thought(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") in THOUGHTS


def _needs_thoughts(chat: Chat) -> bool:
    """Whether there is a thinking budget and the open tool turn lacks the thoughts that it must then have."""
    thinking = chat.body.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled":
        return False
    turns: list[Json] = [one for one in chat.body.get("messages") or () if isinstance(one, dict)]
    for message in reversed(turns):
        blocks = message.get("content")
        kinds = [one.get("type") for one in blocks if isinstance(one, dict)] if isinstance(blocks, list) else ["text"]
        if message.get("role") == "assistant":
            return "tool_use" in kinds and kinds[0] not in THOUGHTS
        if message.get("role") == "user" and "tool_result" not in kinds:
            return False
    return False
