"""Recognises errors that mean that the prompt is too long, for all providers."""

from __future__ import annotations

import re

from llmproxy.core.chat import Json
from llmproxy.core.errors import UpstreamError

OVERFLOW = "context_length_exceeded"
# How providers call a prompt that is longer than the model's context: as code, as type, or only in the message.
_CODES = frozenset(
    (
        OVERFLOW,
        "context_window_exceeded",
        "exceed_context_size_error",  # llama.cpp
        "too_many_prompt_tokens",  # Perplexity
        "token_limit_exceeded",  # OpenRouter
        "model_context_window_exceeded",  # Anthropic
    )
)
_NEVER = frozenset((401, 402, 403, 404, 408, 429, 503, 504, 529))  # "too many tokens" is a quota with these
_WORDS = re.compile(
    "|".join(
        (
            r"context[ _](?:length|window|size|limit)\b.{0,80}\b(?:exceed|overflow|too (?:small|short)|only)",
            r"(?:exceed|overflow|longer than|greater than|larger than|too (?:large|long) for|larger|beyond)"
            r".{0,80}\b(?:context|model['a-z]* (?:length|maximum)|max(?:imum)? model length)\b",
            r"maximum (?:context|prompt|model) length",
            r"max(?:imum)?[ _](?:context|model)[ _]len(?:gth)?\b",
            r"(?:prompt|input|request|messages|conversation)s? (?:is|are) too long",
            r"total length of all messages is too long",
            r"input token(?:s| count)\b.{0,40}\bexceed",
            r"(?:inputs?|prompt)\W* tokens? \+ .{0,30}\bmust be <=",
            r"exceed(?:s|ed)? (?:the )?(?:model )?(?:token limit|max length|maximum number of tokens allowed)",
            r"reduce the length of (?:the|your) (?:messages|prompt|input)",
            r"too large to process\. increase the physical batch size",  # llama.cpp, embeddings
            r"number of tokens to keep from the initial prompt",  # LM Studio
            r"range of input length should be",  # Qwen
        )
    ),
    re.IGNORECASE | re.DOTALL,
)
_TOO_MANY_WORDS = 4000  # characters of a message that are searched


def is_overflow(made: UpstreamError, error: Json) -> bool:
    """Whether the provider refuses the length of the prompt, by a code or in its message."""
    if made.status in _NEVER:
        return False
    value = error.get("metadata")
    metadata: Json = (
        value if isinstance(value, dict) else {}
    )  # OpenRouter's, with the message of the provider behind it
    names = {made.code, made.type, str(metadata.get("error_type"))}
    words = f"{made.message} {metadata.get('raw')}"[:_TOO_MANY_WORDS]
    return not names.isdisjoint(_CODES) or _WORDS.search(words) is not None


def overflow(error: UpstreamError) -> UpstreamError:
    """The error with OpenAI's code for a prompt that is too long. A model with a longer context may answer."""
    if error.status == 502:  # the provider sent no status
        error.status = 400
    elif error.status >= 500:
        error.headers["x-should-retry"] = "false"
    error.code = OVERFLOW
    error.retry_here, error.try_elsewhere, error.blames = False, True, False
    return error
