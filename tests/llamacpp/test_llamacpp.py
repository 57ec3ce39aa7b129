"""A real llama.cpp server through the running gateway, driven by the official SDK."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from llmproxy.testing import Behaviour, Exchange, FakeProvider, chunk, sse
from tests.gateway import running_gateway
from tests.llamacpp.conftest import CONFIG, running_llamacpp

MODEL = "llamacpp/tiny"
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the name of the city?"}]
LOOK: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "look",
        "parameters": {"type": "object", "properties": {"at": {"enum": ["sea", "sky"]}}, "required": ["at"]},
    },
}


async def tool_call_token(llamacpp: str) -> str:
    """The id of `<tool_call>`, which a bias makes the model say; the grammar then does the rest."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{llamacpp}/tokenize", json={"content": "<tool_call>"}) as response,
    ):
        tokens: list[int] = (await response.json())["tokens"]
    return str(tokens[0])


async def test_models_are_listed(client: openai.AsyncOpenAI) -> None:
    listed = [model.id async for model in client.models.list()]
    assert MODEL in listed


async def test_a_chat_is_answered(client: openai.AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=20, seed=1)
    choice = reply.choices[0]
    assert choice.message.role == "assistant"
    assert choice.finish_reason in ("stop", "length")
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0


async def test_a_stream_says_what_the_whole_answer_says(client: openai.AsyncOpenAI) -> None:
    ask: dict[str, Any] = {"model": MODEL, "messages": QUESTION, "max_tokens": 40, "seed": 7, "temperature": 0}
    whole = await client.chat.completions.create(**ask)
    stream = await client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


async def test_the_sdk_s_stream_helper_reads_a_stream(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model=MODEL, messages=QUESTION, seed=1) as stream:
        reply = await stream.get_final_completion()
    assert reply.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_is_called_and_its_result_is_taken(
    client: openai.AsyncOpenAI, llamacpp: str, stream: bool
) -> None:
    ask: dict[str, Any] = {"model": MODEL, "messages": QUESTION, "tools": [LOOK], "seed": 1, "max_tokens": 300}
    ask["logit_bias"] = {await tool_call_token(llamacpp): 50}
    if stream:
        async with client.chat.completions.stream(**ask) as helper:
            choice = (await helper.get_final_completion()).choices[0]
    else:
        choice = (await client.chat.completions.create(**ask)).choices[0]
    calls: Any = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert json.loads(calls[0].function.arguments)["at"] in ("sea", "sky")
    assert len({call.id for call in calls}) == len(calls)

    said: dict[str, Any] = choice.message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})
    results = [{"role": "tool", "tool_call_id": call.id, "content": "blue"} for call in calls]
    messages: Any = [*QUESTION, said, *results]
    reply = await client.chat.completions.create(model=MODEL, messages=messages, tools=[LOOK], max_tokens=10)
    assert reply.choices[0].finish_reason in ("stop", "length", "tool_calls")


async def test_embeddings(client: openai.AsyncOpenAI) -> None:
    reply = await client.embeddings.create(model=MODEL, input=["The quick brown fox", "jumps"])
    assert [one.index for one in reply.data] == [0, 1]
    assert len(reply.data[0].embedding) == 64


async def test_a_question_that_is_too_long_is_a_400(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "sea " * 5000}])
    assert caught.value.type == "exceed_context_size_error"
    assert isinstance(caught.value.code, str)


async def test_an_unknown_model_is_a_404(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="nobody/nothing", messages=QUESTION)
    assert caught.value.code == "model_not_found"


async def test_thoughts_come_as_reasoning_content(models: Path) -> None:
    with (
        running_llamacpp(models / "thinking.gguf", "--alias", "thinking", "--reasoning-budget", "8") as url,
        running_gateway(CONFIG.format(url=url)) as gateway,
    ):
        client = openai.AsyncOpenAI(base_url=gateway.base_url, api_key="unused", max_retries=0)
        stream = await client.chat.completions.create(
            model="llamacpp/thinking", messages=QUESTION, stream=True, seed=1, max_tokens=30
        )
        deltas: list[Any] = [chunk.choices[0].delta async for chunk in stream if chunk.choices]
        await client.close()
    assert any(getattr(delta, "reasoning_content", None) for delta in deltas)


async def test_a_model_that_is_being_loaded_is_waited_for() -> None:
    loading = Behaviour(
        [b'{"error":{"message":"Loading model","type":"unavailable_error","code":503}}'], 503, framing="length"
    )
    ready = Behaviour([sse(chunk({"role": "assistant", "content": "Hi"}), chunk({}, finish="stop"))])
    asked: list[Exchange] = []

    def route(exchange: Exchange) -> Behaviour | None:
        if exchange.method != "POST":
            return None
        asked.append(exchange)
        return loading if len(asked) <= 3 else ready

    async with FakeProvider(route=route) as provider:
        with running_gateway(CONFIG.format(url=provider.url)) as gateway:
            async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key="unused", max_retries=0) as client:
                reply = await client.chat.completions.create(model="llamacpp/any", messages=QUESTION)
    assert reply.choices[0].message.content == "Hi"
    assert len(asked) == 4
