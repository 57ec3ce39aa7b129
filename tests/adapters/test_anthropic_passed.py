"""Clients of Messages before Claude: their bytes go out as they are, without what Anthropic would refuse."""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson
from llmproxy.adapters.anthropic import Anthropic
from openai import AsyncOpenAI

from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat, Json, whole
from llmproxy.dialects import find
from llmproxy.testing import Behaviour, FakeProvider
from llmproxy.wire.foreign_reasoning import Packed, pack
from tests.adapters.test_anthropic_contract import PING, ended, events, started, text, thought
from tests.gateway import running_gateway

MODEL = "claude-sonnet-4-5"
FOREIGN = pack(Packed(({"type": "reasoning.encrypted", "data": "x"},)))
USER = {"role": "user", "content": "Hello"}
USE = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "calm"}]}
BUDGET = {"type": "enabled", "budget_tokens": 2000}


def sent(raw: bytes) -> bytes:
    body: Json = orjson.loads(raw)
    chat = Chat(body, MODEL, "messages", raw, dialect=find("messages"))
    return whole(Anthropic(Account("anthropic", api_key="k")).request(chat).body)


def asked(*messages: Json, **members: Any) -> bytes:
    return orjson.dumps(
        {"model": MODEL, "max_tokens": 9000, "messages": messages, **members}, option=orjson.OPT_INDENT_2
    )


def thinking(signature: str) -> Json:
    return {"type": "thinking", "thinking": "Hm.", "signature": signature}


def assistant(*blocks: Json) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def test_a_request_goes_out_byte_for_byte() -> None:
    raw = asked(USER, assistant(thinking("c2ln"), USE), RESULT, thinking=BUDGET, x_new={"a": 1.0})
    assert sent(raw) == raw


def test_thoughts_of_others_and_unsigned_ones_are_taken_out() -> None:
    for signature in (FOREIGN, ""):
        body = orjson.loads(sent(asked(USER, assistant(thinking(signature), USE), RESULT)))
        assert body["messages"] == [USER, assistant(USE), RESULT]
    assert orjson.loads(sent(asked(USER, assistant(thinking("")), USER)))["messages"] == [USER, USER]


def test_a_budget_goes_where_the_turn_that_goes_on_has_lost_its_thoughts() -> None:
    body = orjson.loads(sent(asked(USER, assistant(thinking(FOREIGN), USE), RESULT, thinking=BUDGET)))
    assert "thinking" not in body
    over = asked(USER, assistant(thinking(FOREIGN), USE), RESULT, assistant({"type": "text", "text": "So."}), USER)
    assert "thinking" in orjson.loads(sent(asked(*orjson.loads(over)["messages"], thinking=BUDGET)))


REPLY = events(started(), PING, *thought(0, "Hm."), *text(1, "Hi"), *ended())
CONFIG = """
[providers.anthropic]
base_url = "{url}"
api_key = "sk-ant-of-nobody"
[limits]
retries = 1
"""


async def test_chat_and_messages_clients_get_claude_s_answer_each_in_its_own_words() -> None:
    async with FakeProvider(route=lambda _: Behaviour([REPLY], 200, {"content-type": "text/event-stream"})) as provider:
        with running_gateway(CONFIG.format(url=provider.url)) as gateway:
            client = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any")
            stream = await client.chat.completions.create(
                model=f"anthropic/{MODEL}", messages=[{"role": "user", "content": "Hello"}], stream=True
            )
            said = [chunk.choices[0].delta async for chunk in stream if chunk.choices]
            assert "".join(one.content or "" for one in said) == "Hi"
            body = {"model": f"anthropic/{MODEL}", "max_tokens": 9, "messages": [USER], "stream": True}
            async with aiohttp.ClientSession() as session:
                headers = {"anthropic-beta": "some-beta"}
                async with session.post(f"{gateway.url}/v1/messages?beta=true", json=body, headers=headers) as response:
                    assert await response.read() == REPLY
    chat, messages = provider.exchanges
    assert chat.path == messages.path == "/v1/messages"
    assert chat.headers["x-api-key"] == messages.headers["x-api-key"] == "sk-ant-of-nobody"
    assert chat.json["max_tokens"] == 64_000
    assert messages.json == {**body, "model": MODEL}
    assert messages.headers["anthropic-beta"] == "some-beta"


async def test_an_overloaded_claude_is_asked_again_after_the_time_it_says() -> None:
    busy = orjson.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    async with FakeProvider() as provider:
        provider.does(
            Behaviour([busy], 529, {"content-type": "application/json", "retry-after": "0"}),
            Behaviour(
                [REPLY], 200, {"content-type": "text/event-stream", "anthropic-ratelimit-requests-remaining": "7"}
            ),
        )
        with running_gateway(CONFIG.format(url=provider.url)) as gateway:
            client = AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0)
            raw = await client.chat.completions.with_raw_response.create(
                model=f"anthropic/{MODEL}", messages=[{"role": "user", "content": "Hello"}], stream=True
            )
            assert raw.headers["anthropic-ratelimit-requests-remaining"] == "7"
            assert raw.headers["x-llmproxy-attempts"] == "2"
    assert len(provider.exchanges) == 2
