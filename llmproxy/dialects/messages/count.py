"""Estimates the tokens of a request, and translates usage to Anthropic's classes."""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.core.chat import Json

# Too many rather than too few: a client with too low a count compacts too late. 4.7 and later count about 30 % more
# tokens than earlier models.
_CHARACTERS = 3.3
_IMAGE = 1_600  # tokens
_OVERHEAD = 8  # tokens of a message besides its text
_LONG = frozenset(("data", "url", "signature", "encrypted_content", "file_data"))


def estimated(body: Json) -> int:
    """An estimate from the length of system prompt, messages and tools. An image or document counts as a large image."""
    length, images = 0, 0
    stack: list[Any] = [body.get("system"), body.get("messages"), body.get("output_config")]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            length += len(value)
        elif isinstance(value, list):
            stack += value
        elif isinstance(value, dict):
            images += value.get("type") in ("image", "document")
            stack += [inner for name, inner in value.items() if name not in _LONG]
    tools = len(orjson.dumps(body["tools"])) if body.get("tools") else 0
    messages = len(body["messages"]) if isinstance(body.get("messages"), list) else 0
    return max(1, round((length + tools) / _CHARACTERS) + images * _IMAGE + messages * _OVERHEAD)


def counted(usage: Json) -> Json:
    """Anthropic's usage from OpenAI's: tokens read from or written to a cache are not in `input_tokens`."""
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    read, written = _number(details.get("cached_tokens")), _number(details.get("cache_write_tokens"))
    made: Json = {
        "input_tokens": max(0, _number(usage.get("prompt_tokens")) - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": _number(usage.get("completion_tokens")),
    }
    thought = usage.get("completion_tokens_details")
    if isinstance(thought, dict) and _number(thought.get("reasoning_tokens")):
        made["output_tokens_details"] = {"thinking_tokens": _number(thought["reasoning_tokens"])}
    return made


def _number(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else 0
