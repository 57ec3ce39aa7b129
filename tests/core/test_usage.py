"""What providers count, in classes of which each token is in exactly one."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.core.usage import Tokens, Usage, in_e12

Json = dict[str, Any]

OPENAI = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10, "audio_tokens": 5, "image_tokens": 7},
    "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 12},
}
XAI = {
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "total_tokens": 91,
    "completion_tokens_details": {"reasoning_tokens": 79},
}
HIDDEN = {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}  # Google's compatible endpoint
RESEARCH = {
    "prompt_tokens": 33,
    "completion_tokens": 7163,
    "total_tokens": 7196,
    "reasoning_tokens": 73997,
    "num_search_queries": 18,
}
MESSAGES = {
    "input_tokens": 2,
    "cache_creation_input_tokens": 77,
    "cache_read_input_tokens": 3522,
    "cache_creation": {"ephemeral_5m_input_tokens": 70, "ephemeral_1h_input_tokens": 7},
    "output_tokens": 43,
    "output_tokens_details": {"thinking_tokens": 11},
    "server_tool_use": {"web_search_requests": 3},
}


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (
            Usage.parse(OPENAI),
            Tokens(18, cache_read=60, cache_write_5m=10, output=38, reasoning=20, audio_in=5, audio_out=12, image_in=7),
        ),
        (Usage.parse(XAI), Tokens(9, output=82, reasoning=79)),
        (Usage.parse(HIDDEN), Tokens(35, output=74, reasoning=62)),
        (Usage.parse(RESEARCH), Tokens(33, output=81160, reasoning=73997, calls=18)),
        (
            Usage.of_messages(MESSAGES),
            Tokens(2, cache_read=3522, cache_write_5m=70, cache_write_1h=7, output=43, reasoning=11, calls=3),
        ),
        (
            Usage.of_messages({"input_tokens": 5, "cache_creation_input_tokens": 9, "output_tokens": 1}),
            Tokens(5, cache_write_5m=9, output=1),
        ),
        (
            Usage.of_responses({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3}),
            Tokens(5, cache_read=4, output=3),
        ),
        (Usage(prompt=9, completion=2, cached=4, reasoning=1), Tokens(5, cache_read=4, output=2, reasoning=1)),
    ],
    ids=["openai", "xai", "hidden", "research", "messages", "messages-5m", "responses", "made"],
)
def test_every_token_is_in_one_class(usage: Usage, tokens: Tokens) -> None:
    assert usage.tokens == tokens


def test_more_cached_than_there_is_prompt_counts_once() -> None:
    usage = Usage.parse({"prompt_tokens": 347, "prompt_tokens_details": {"cached_tokens": 403, "audio_tokens": 9}})
    assert usage.tokens == Tokens(cache_read=347)


def test_what_a_compaction_and_an_advisor_took_is_counted_too() -> None:
    runs = [
        {"type": "compaction", "input_tokens": 100, "output_tokens": 83, "cache_read_input_tokens": 55096},
        {"type": "message", "input_tokens": 181, "output_tokens": 8},
    ]
    usage = Usage.of_messages({"input_tokens": 181, "output_tokens": 8, "iterations": runs})
    assert usage.tokens == Tokens(281, cache_read=55096, output=91)


@pytest.mark.parametrize(
    ("raw", "dollars"),
    [
        ({"cost": 0.000106, "is_byok": False}, 0.000106),
        ({"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}, 0.021),
        ({"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}, None),
        ({"cost": {"total_cost": 0.00502}}, 0.00502),
        ({"cost_in_usd_ticks": 2521500}, 0.00025215),
        ({"cost": True}, None),
        ({}, None),
    ],
)
def test_the_providers_own_cost_is_read(raw: Json, dollars: float | None) -> None:
    cost = Usage.parse(raw).cost
    assert (cost and in_e12(cost)) == (dollars and in_e12(dollars))


def test_usages_of_several_answers_add_up_class_by_class() -> None:
    both = Usage.parse({**OPENAI, "cost": 0.5}).plus(Usage.parse({**XAI, "cost": 0.25}))
    assert both.tokens == Usage.parse(OPENAI).tokens.plus(Usage.parse(XAI).tokens)
    assert (both.prompt, both.completion, both.cost) == (109, 53, 0.75)
    assert Usage.parse({**OPENAI, "cost": 0.5}).plus(Usage.parse(XAI)).cost is None
