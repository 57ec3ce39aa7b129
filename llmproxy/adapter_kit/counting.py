"""Requests that count tokens: the members they may have, and how the answer is read."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from llmproxy.core.chat import Face
from llmproxy.core.errors import Malformed

# Anthropic and OpenAI refuse all other members (types of their SDKs).
COUNTED: Mapping[Face, frozenset[str]] = {
    "messages": frozenset(
        (
            "model",
            "messages",
            "system",
            "tools",
            "tool_choice",
            "thinking",
            "output_config",
            "cache_control",
            "context_management",
            "mcp_servers",
        )
    ),
    "responses": frozenset(
        (
            "model",
            "input",
            "instructions",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "previous_response_id",
            "conversation",
            "reasoning",
            "text",
            "truncation",
        )
    ),
}


def input_tokens(body: bytes) -> int:
    """The member of that name, in which Anthropic, OpenAI and llama.cpp all send the count. Raises Malformed."""
    try:
        return int(orjson.loads(body)["input_tokens"])
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed("The provider's token count is missing or not a number.") from error
