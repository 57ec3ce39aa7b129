"""The official OpenAI client for Python, asynchronous, against the running gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.clients.house import KEY, House
from tests.clients.model import FORECAST, GREETING
from tests.clients.questions import (
    ALL_WITH_TOOLS,
    BOTH,
    BOTH_ENDLESS,
    CUT,
    ENDLESS,
    GEMINI,
    HELLO,
    ONE_ANSWER,
    ONE_CITY,
    OPENAI,
    TOOLS,
    TWO_ANSWERS,
    TWO_CITIES,
    Forecast,
    results,
)


@pytest.fixture
async def client(house: House) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=house.base_url, api_key=KEY) as made:
        yield made


async def test_lists_the_models_of_every_provider(client: AsyncOpenAI) -> None:
    assert {OPENAI, GEMINI, "demo/hello"} <= {model.id async for model in client.models.list()}


@BOTH
async def test_creates_an_answer(client: AsyncOpenAI, model: str) -> None:
    answer = await client.chat.completions.create(model=model, messages=HELLO)
    assert answer.choices[0].message.content == GREETING


@BOTH
async def test_streams_an_answer_in_pieces(client: AsyncOpenAI, model: str) -> None:
    async with await client.chat.completions.create(model=model, messages=HELLO, stream=True) as stream:
        texts = [choice.delta.content async for chunk in stream for choice in chunk.choices if choice.delta.content]
    assert "".join(texts) == GREETING
    assert len(texts) > 3


async def test_many_streams_at_once_keep_apart(client: AsyncOpenAI) -> None:
    async def asked(number: int) -> str:
        question: list[Any] = [{"role": "user", "content": f"Weather in City{number}"}]
        async with client.chat.completions.stream(model=OPENAI, messages=question, tools=TOOLS) as stream:
            calls = (await stream.get_final_completion()).choices[0].message.tool_calls
        return ",".join(call.function.arguments for call in calls or ())

    answers = await asyncio.gather(*map(asked, range(20)))
    assert answers == [f'{{"city":"City{number}"}}' for number in range(20)]


@BOTH
async def test_parses_an_answer_by_a_schema(client: AsyncOpenAI, model: str) -> None:
    answer = await client.chat.completions.parse(model=model, messages=HELLO, response_format=Forecast)
    assert answer.choices[0].message.parsed == Forecast.model_validate(FORECAST)


@BOTH
async def test_stream_helper_parses_by_a_schema(client: AsyncOpenAI, model: str) -> None:
    async with client.chat.completions.stream(model=model, messages=HELLO, response_format=Forecast) as stream:
        answer = await stream.get_final_completion()
    assert answer.choices[0].message.parsed == Forecast.model_validate(FORECAST)


async def test_raw_response_has_the_headers_and_the_answer(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model=OPENAI, messages=HELLO)
    assert raw.headers["x-llmproxy-provider"] == "openai"
    assert raw.parse().choices[0].message.content == GREETING


async def test_raw_streamed_response_has_the_headers_and_the_stream(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model=OPENAI, messages=HELLO, stream=True)
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in raw.parse()]) == GREETING


async def test_streaming_response_gives_the_lines(client: AsyncOpenAI) -> None:
    asking = client.chat.completions.with_streaming_response.create(model=OPENAI, messages=HELLO, stream=True)
    async with asking as response:
        lines = [line async for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


@ALL_WITH_TOOLS
async def test_streamed_tools_go_round(client: AsyncOpenAI, model: str) -> None:
    messages: list[Any] = []
    assert await _asked(client, model, messages, TWO_CITIES) == TWO_ANSWERS
    assert await _asked(client, model, messages, ONE_CITY) == ONE_ANSWER


async def _asked(client: AsyncOpenAI, model: str, messages: list[Any], question: str) -> str | None:
    messages.append({"role": "user", "content": question})
    while True:
        async with client.chat.completions.stream(model=model, messages=messages, tools=TOOLS) as stream:
            message = (await stream.get_final_completion()).choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return message.content
        messages += results(message.tool_calls)


@pytest.mark.parametrize("stream", [False, True])
async def test_bad_key_is_an_authentication_error(house: House, stream: bool) -> None:
    async with AsyncOpenAI(base_url=house.base_url, api_key="wrong") as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.chat.completions.create(model=OPENAI, messages=HELLO, stream=stream)


@pytest.mark.parametrize("stream", [False, True])
async def test_unknown_model_is_not_found(client: AsyncOpenAI, stream: bool) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        await client.chat.completions.create(model="openai/no-such", messages=HELLO, stream=stream)
    assert raised.value.code == "model_not_found"


async def test_stream_that_was_cut_is_an_error(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model=CUT, messages=HELLO, stream=True)
    with pytest.raises(openai.APIError) as raised:
        [chunk async for chunk in stream]
    assert raised.value.code == "upstream_truncated"


@BOTH_ENDLESS
async def test_closing_a_stream_stops_the_provider(house: House, client: AsyncOpenAI, model: str) -> None:
    with house.one_request() as asked:
        stream = await client.chat.completions.create(model=model, messages=HELLO, stream=True)
        await anext(aiter(stream))
        await stream.close()
    house.assert_closed(asked.result())


@BOTH_ENDLESS
async def test_cancelling_the_reading_task_stops_the_provider(house: House, client: AsyncOpenAI, model: str) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async with client.chat.completions.stream(model=model, messages=HELLO) as stream:
            async for _ in stream:
                reading.set()

    with house.one_request() as asked:
        task = asyncio.create_task(read())
        await reading.wait()
        await _cancelled(task)
    house.assert_closed(asked.result())


async def test_cancelling_the_task_that_waits_for_a_whole_answer_stops_the_provider(
    house: House, client: AsyncOpenAI
) -> None:
    with house.one_request() as asked:
        waiting = asyncio.create_task(_whole(client))
        await house.arrival()
        await _cancelled(waiting)
    house.assert_closed(asked.result())


async def _whole(client: AsyncOpenAI) -> None:
    await client.chat.completions.create(model=ENDLESS, messages=HELLO)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
