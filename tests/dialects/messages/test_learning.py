"""What agents send with every question, and a model refuses, is left out: the question is asked again, and not refused twice."""

from __future__ import annotations

import pytest

from llmproxy.testing import FakeProvider
from llmproxy.wire.foreign_reasoning import Packed, pack
from tests.dialects.messages.house import House, Open, blocks, said
from tests.dialects.streams import Json

THINKS: Json = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
REFUSED = {
    "error": {
        "message": "Unrecognized request argument supplied: reasoning_effort",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
}


async def test_an_effort_that_the_model_refuses_is_left_out(house: House, provider: FakeProvider) -> None:
    provider.fails(400, REFUSED)
    provider.streams(*said({"content": "Hi"}))
    assert blocks(await house.events(**THINKS)) == [{"type": "text", "text": "Hi"}]
    assert [one.json.get("reasoning_effort") for one in provider.exchanges] == ["high", None]
    provider.streams(*said({"content": "Hi"}))
    await house.events(**THINKS)
    assert "reasoning_effort" not in provider.last.json
    assert len(provider.exchanges) == 3


async def test_several_refusals_of_one_question_are_learnt(house: House, provider: FakeProvider) -> None:
    provider.fails(400, REFUSED)
    provider.fails(400, {"error": {"message": "Unsupported parameter", "param": "parallel_tool_calls"}})
    provider.streams(*said({"content": "Hi"}))
    tools = [{"name": "look", "input_schema": {"type": "object"}}]
    await house.events(**THINKS, tools=tools, tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert len(provider.exchanges) == 3


async def test_another_refusal_is_the_clients(house: House, provider: FakeProvider) -> None:
    provider.fails(400, {"error": {"message": "`messages` is too long.", "param": "messages"}})
    status, answer = await house.call(
        "POST",
        "/v1/messages",
        {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], **THINKS},
    )
    assert (status, len(provider.exchanges)) == (400, 1)
    assert "too long" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("adapter", "kept"), [("compatible", {"reasoning_content", "reasoning_details"}), ("openai", set())]
)
async def test_state_of_another_provider_is_not_shown_to_this_one(
    opened: Open, provider: FakeProvider, adapter: str, kept: set[str]
) -> None:
    signature = pack(Packed(({"type": "reasoning.encrypted", "data": "abc"},)))
    turn = [{"type": "thinking", "thinking": "Hm.", "signature": signature}, {"type": "text", "text": "Yes"}]
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": turn},
        {"role": "user", "content": "Go on."},
    ]
    async with opened(adapter) as house:
        provider.streams(*said({"content": "Hi"}))
        await house.events(messages=turns)
    assert provider.last.json["messages"][1].keys() == {"role", "content", *kept}
