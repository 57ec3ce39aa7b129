"""A real llama.cpp server before Anthropic's, OpenAI's and Google's newer clients: whole answers and streams."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from tests.gateway import Gateway

MODEL = "llamacpp/tiny"
TEXT = "What is the name of the city?"


@pytest.fixture
async def claude(gateway: Gateway) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key="unused", max_retries=0) as made:
        yield made


@pytest.mark.thorough
async def test_messages_are_answered(claude: anthropic.AsyncAnthropic) -> None:
    message = await claude.messages.create(model=MODEL, max_tokens=20, messages=[{"role": "user", "content": TEXT}])
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert message.usage.input_tokens > 0
    assert 0 < message.usage.output_tokens <= 20


@pytest.mark.thorough
async def test_messages_are_streamed(claude: anthropic.AsyncAnthropic) -> None:
    async with claude.messages.stream(
        model=MODEL, max_tokens=20, messages=[{"role": "user", "content": TEXT}]
    ) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        message = await stream.get_final_message()
    assert text == "".join(block.text for block in message.content if block.type == "text")
    assert message.stop_reason in ("end_turn", "max_tokens")


@pytest.mark.thorough
async def test_responses_are_answered_and_streamed(client: openai.AsyncOpenAI) -> None:
    whole = await client.responses.create(model=MODEL, input=TEXT, max_output_tokens=20)
    assert whole.status in ("completed", "incomplete")
    assert whole.usage is not None
    assert whole.usage.output_tokens > 0
    events = [
        event
        async for event in await client.responses.create(model=MODEL, input=TEXT, max_output_tokens=20, stream=True)
    ]
    assert events[0].type == "response.created"
    assert events[-1].type in ("response.completed", "response.incomplete")
    assert [event.sequence_number for event in events] == list(range(len(events)))


@pytest.mark.thorough
async def test_geminis_api_is_answered_and_streamed(gateway: Gateway) -> None:
    google = genai.Client(api_key="unused", http_options=types.HttpOptions(base_url=gateway.url)).aio
    config = types.GenerateContentConfig(max_output_tokens=20)
    whole = await google.models.generate_content(model=MODEL, contents=TEXT, config=config)
    assert whole.candidates
    assert whole.candidates[0].finish_reason in (types.FinishReason.STOP, types.FinishReason.MAX_TOKENS)
    events = [
        one async for one in await google.models.generate_content_stream(model=MODEL, contents=TEXT, config=config)
    ]
    assert events[-1].usage_metadata is not None
    await google.aclose()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        (
            "/v1/messages/count_tokens",
            {"model": MODEL, "messages": [{"role": "user", "content": TEXT}]},
            "input_tokens",
        ),
        ("/v1/responses/input_tokens", {"model": MODEL, "input": TEXT}, "input_tokens"),
        (f"/v1beta/models/{MODEL}:countTokens", {"contents": [{"parts": [{"text": TEXT}]}]}, "totalTokens"),
    ],
)
async def test_its_own_counts_are_given(gateway: Gateway, path: str, body: dict[str, object], name: str) -> None:
    async with aiohttp.ClientSession() as client, client.post(gateway.url + path, json=body) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["x-llmproxy-token-count"] == "provider"
        assert (await answer.json())[name] > 5
