"""What a provider's failure means beyond its status: whether a chain goes on, and whether the provider is to blame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from llmproxy.adapters.gemini import Gemini
from llmproxy.adapters.llamacpp import LlamaCpp
from llmproxy.adapters.openrouter import OpenRouter
from llmproxy.adapters.perplexity import Perplexity

from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat
from llmproxy.core.errors import UpstreamError
from llmproxy.testing import sse

ADAPTERS: dict[str, Any] = {"gemini": Gemini, "llamacpp": LlamaCpp, "openrouter": OpenRouter, "perplexity": Perplexity}


@dataclass(frozen=True, slots=True)
class Case:
    provider: str
    status: int
    message: str
    here: bool
    elsewhere: bool
    blames: bool
    code: str | None = None
    member: str = ""  # google.rpc's status, or a type


OVERFLOW = "context_length_exceeded"
CASES = [
    # llama.cpp says 500 for what its model, its memory or the request did: it never helps to ask it again.
    Case("llamacpp", 500, "model name=qwen failed to load", False, True, True),
    Case("llamacpp", 500, "Compute error.", False, True, True),
    Case("llamacpp", 500, "failed to decode the batch, KV cache is full", False, True, True),
    Case("llamacpp", 500, "Failed to parse input at pos 395: <tool_call>", False, True, False),
    Case(
        "llamacpp", 500, "image input is not supported - hint: you may need to provide the mmproj", False, True, False
    ),
    Case("llamacpp", 501, "This server does not support embeddings.", False, True, False),
    Case(
        "llamacpp",
        400,
        "request (900 tokens) exceeds the available context size (512 tokens)",
        False,
        True,
        False,
        OVERFLOW,
    ),
    Case("llamacpp", 400, "invalid temperature", False, False, False),
    Case(
        "gemini",
        400,
        "User location is not supported for the API use.",
        False,
        True,
        False,
        None,
        "FAILED_PRECONDITION",
    ),
    Case(
        "gemini",
        400,
        "Free tier is not available. Please enable billing.",
        False,
        True,
        False,
        None,
        "FAILED_PRECONDITION",
    ),
    Case("gemini", 400, "Request contains an invalid argument.", False, False, False, None, "INVALID_ARGUMENT"),
    Case(
        "gemini",
        400,
        "The input token count (9) exceeds the maximum number of tokens allowed (8).",
        False,
        True,
        False,
        OVERFLOW,
        "INVALID_ARGUMENT",
    ),
    Case("gemini", 403, "Permission denied on resource project x", False, True, False, None, "PERMISSION_DENIED"),
    Case("gemini", 503, "The model is overloaded.", True, True, True, None, "UNAVAILABLE"),
    Case("openrouter", 503, "No available model provider that meets your routing requirements", False, True, False),
    Case("openrouter", 404, "No endpoints found matching your data policy", False, True, False),
    Case("openrouter", 403, "Input was flagged by moderation", False, True, False),
    Case("openrouter", 402, "Insufficient credits", False, True, False),
    Case("openrouter", 502, "Provider returned error", True, True, True),
    Case("openrouter", 400, "This endpoint's maximum context length is 9 tokens.", False, True, False, OVERFLOW),
    Case("perplexity", 400, "Too long.", False, True, False, OVERFLOW, "too_many_prompt_tokens"),
]


def body(case: Case) -> bytes:
    named = {"status" if case.provider == "gemini" else "type": case.member} if case.member else {}
    return orjson.dumps({"error": {"code": case.status, "message": case.message, **named}})


def built(case: Case) -> Any:
    return ADAPTERS[case.provider](Account(case.provider, "http://127.0.0.1:9/v1"))


def check(error: UpstreamError, case: Case) -> None:
    assert (error.status, error.retry_here, error.try_elsewhere, error.blames) == (
        case.status,
        case.here,
        case.elsewhere,
        case.blames,
    )
    assert case.code in (None, error.code)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.provider} {case.message}")
def test_a_failure_as_a_reply(case: Case) -> None:
    check(built(case).error(case.status, {}, body(case)), case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.provider} {case.message}")
def test_the_same_failure_inside_a_stream(case: Case) -> None:
    translator = built(case).translator(Chat({"model": "m", "stream": True}, "m"))
    with pytest.raises(UpstreamError) as raised:
        list(translator.feed(sse(orjson.loads(body(case)), done=False)))
    check(raised.value, case)
