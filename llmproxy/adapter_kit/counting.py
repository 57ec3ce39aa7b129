"""Questions about the number of a request's tokens: what they may hold, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from llmproxy.core.chat import Face
from llmproxy.core.errors import Malformed

# Anthropic and OpenAI refuse every other member (their SDKs' types).
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
    """The member of that name, which Anthropic, OpenAI and llama.cpp all answer with. Raises Malformed."""
    try:
        return int(orjson.loads(body)["input_tokens"])
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed("The provider's count of tokens is not what it says it is.") from error
