"""The official OpenAI client for Python, blocking, against the running gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.clients import gemini_upstream
from tests.clients.house import KEY, House
from tests.clients.model import BEGINNING, FORECAST, GREETING, THOUGHT
from tests.clients.questions import (
    ALL_WITH_TOOLS,
    BOTH,
    BOTH_ENDLESS,
    CUT,
    GEMINI,
    HELLO,
    ONE_ANSWER,
    ONE_CITY,
    OPENAI,
    TOOLS,
    TWO_ANSWERS,
    TWO_CITIES,
    Forecast,
    Weather,
    results,
)


@pytest.fixture(scope="module")
def client(house: House) -> Iterator[OpenAI]:
    with OpenAI(base_url=house.base_url, api_key=KEY) as made:
        yield made


def test_lists_the_models_of_every_provider(client: OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {OPENAI, GEMINI, "demo/hello"} <= listed.keys()
    assert {model.object for model in listed.values()} == {"model"}


def test_retrieves_a_model_whose_name_has_a_slash(client: OpenAI) -> None:
    assert client.models.retrieve(OPENAI).id == OPENAI


@BOTH
def test_creates_an_answer(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=HELLO)
    assert answer.choices[0].message.content == GREETING
    assert answer.choices[0].finish_reason == "stop"


@BOTH
def test_usage_is_the_providers(client: OpenAI, model: str) -> None:
    usage = client.chat.completions.create(model=model, messages=HELLO).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (11, 5, 16)


@BOTH
def test_streams_an_answer_in_pieces(client: OpenAI, model: str) -> None:
    with client.chat.completions.create(model=model, messages=HELLO, stream=True) as stream:
        chunks = list(stream)
    texts = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert "".join(texts) == GREETING
    assert len(texts) > 3
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1


@BOTH
def test_streamed_usage_comes_once_and_only_if_asked_for(client: OpenAI, model: str) -> None:
    silent = list(client.chat.completions.create(model=model, messages=HELLO, stream=True))
    asking = client.chat.completions.create(
        model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    assert [chunk.usage for chunk in silent if chunk.usage] == []
    assert [(chunk.choices, chunk.usage.total_tokens) for chunk in asking if chunk.usage] == [([], 16)]


@BOTH
def test_stream_helper_folds_the_stream(client: OpenAI, model: str) -> None:
    with client.chat.completions.stream(model=model, messages=HELLO) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        answer = stream.get_final_completion()
    assert "".join(deltas) == answer.choices[0].message.content == GREETING


@BOTH
def test_parses_an_answer_by_a_schema(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.parse(model=model, messages=HELLO, response_format=Forecast)
    assert answer.choices[0].message.parsed == Forecast.model_validate(FORECAST)


@BOTH
def test_stream_helper_parses_by_a_schema(client: OpenAI, model: str) -> None:
    with client.chat.completions.stream(model=model, messages=HELLO, response_format=Forecast) as stream:
        answer = stream.get_final_completion()
    assert answer.choices[0].message.parsed == Forecast.model_validate(FORECAST)


def test_raw_response_has_the_headers_and_the_answer(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=OPENAI, messages=HELLO, extra_headers={"X-Request-ID": "request-of-the-test"}
    )
    assert raw.headers["x-request-id"] == raw.request_id == "request-of-the-test"
    assert raw.headers["x-llmproxy-provider"] == "openai"
    assert raw.parse().choices[0].message.content == GREETING


def test_raw_streamed_response_has_the_headers_and_the_stream(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model=OPENAI, messages=HELLO, stream=True)
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert "".join(chunk.choices[0].delta.content or "" for chunk in raw.parse()) == GREETING


def test_streaming_response_gives_the_lines(client: OpenAI) -> None:
    asking = client.chat.completions.with_streaming_response.create(model=OPENAI, messages=HELLO, stream=True)
    with asking as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: {") for line in lines[:-1])


@pytest.mark.parametrize("model", [GEMINI, "demo/reasoning"])
def test_reasoning_is_there_streamed_and_not(client: OpenAI, model: str) -> None:
    whole: Any = client.chat.completions.create(model=model, messages=HELLO, max_tokens=40).choices[0].message
    chunks: Any = client.chat.completions.create(model=model, messages=HELLO, max_tokens=40, stream=True)
    streamed = "".join(getattr(chunk.choices[0].delta, "reasoning_content", "") for chunk in chunks)
    assert streamed == whole.reasoning_content
    assert whole.reasoning_content == THOUGHT or model != GEMINI


# Tools: two questions, the first of which needs two calls at once. The upstreams refuse a history that lost anything.


@ALL_WITH_TOOLS
def test_tools_go_round(client: OpenAI, model: str) -> None:
    messages: list[Any] = []
    assert _asked(client, model, messages, TWO_CITIES) == TWO_ANSWERS
    assert _asked(client, model, messages, ONE_CITY) == ONE_ANSWER


def _asked(client: OpenAI, model: str, messages: list[Any], question: str) -> str | None:
    """The final answer, once all tools have run. The messages are sent back as the client made them."""
    messages.append({"role": "user", "content": question})
    while True:
        choice = client.chat.completions.create(model=model, messages=messages, tools=TOOLS).choices[0]
        messages.append(choice.message)
        if not choice.message.tool_calls:
            return choice.message.content
        assert choice.finish_reason == "tool_calls"
        messages += results(choice.message.tool_calls)


@ALL_WITH_TOOLS
def test_streamed_tools_go_round(client: OpenAI, model: str) -> None:
    messages: list[Any] = []
    assert _streamed(client, model, messages, TWO_CITIES) == TWO_ANSWERS
    assert _streamed(client, model, messages, ONE_CITY) == ONE_ANSWER


def _streamed(client: OpenAI, model: str, messages: list[Any], question: str) -> str | None:
    messages.append({"role": "user", "content": question})
    while True:
        with client.chat.completions.stream(model=model, messages=messages, tools=TOOLS) as stream:
            message = stream.get_final_completion().choices[0].message
        messages.append(message.to_dict())
        if not message.tool_calls:
            return message.content
        assert [type(call.function.parsed_arguments) for call in message.tool_calls] == [Weather] * len(
            message.tool_calls
        )
        messages += results(message.tool_calls)


def test_signatures_survive_a_client_that_keeps_only_what_it_knows(client: OpenAI) -> None:
    asked: list[Any] = [{"role": "user", "content": TWO_CITIES}]
    calls: Any = client.chat.completions.create(model=GEMINI, messages=asked, tools=TOOLS).choices[0].message.tool_calls
    known = [{"id": c.id, "type": "function", "function": c.function.to_dict()} for c in calls]
    messages: list[Any] = [*asked, {"role": "assistant", "tool_calls": known}, *results(calls)]
    answer = client.chat.completions.create(model=GEMINI, messages=messages, tools=TOOLS)
    assert answer.choices[0].message.content == TWO_ANSWERS


# Errors


@pytest.mark.parametrize("stream", [False, True])
def test_bad_key_is_an_authentication_error(house: House, stream: bool) -> None:
    stranger = OpenAI(base_url=house.base_url, api_key="wrong")
    with stranger, pytest.raises(openai.AuthenticationError) as raised:
        stranger.chat.completions.create(model=OPENAI, messages=HELLO, stream=stream)
    assert raised.value.code == "invalid_api_key"


@pytest.mark.parametrize("model", ["openai-expired/gpt-chat", f"gemini-expired/{gemini_upstream.MODEL}"])
def test_bad_key_at_the_provider_is_an_authentication_error(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.AuthenticationError) as raised:
        client.chat.completions.create(model=model, messages=HELLO)
    assert raised.value.code == "invalid_api_key"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["openai/no-such", "gemini/no-such", "demo/no-such", "no-such"])
def test_unknown_model_is_not_found(client: OpenAI, model: str, stream: bool) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model=model, messages=HELLO, stream=stream)
    assert raised.value.code == "model_not_found"


def test_unknown_model_cannot_be_retrieved(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such")


def test_failure_of_the_provider_keeps_its_status(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as raised:
        client.with_options(max_retries=0).chat.completions.create(model="demo/error", messages=HELLO)
    assert (raised.value.status_code, raised.value.code) == (503, "demo_error")


def test_stream_that_was_cut_is_an_error_after_its_text(client: OpenAI) -> None:
    stream = client.chat.completions.create(model=CUT, messages=HELLO, stream=True)
    texts: list[str] = []
    with pytest.raises(openai.APIError) as raised:
        texts.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert raised.value.code == "upstream_truncated"
    assert "".join(texts) == BEGINNING


# Stopping


@BOTH_ENDLESS
def test_closing_a_stream_stops_the_provider(house: House, client: OpenAI, model: str) -> None:
    with house.one_request() as asked:
        stream = client.chat.completions.create(model=model, messages=HELLO, stream=True)
        next(stream)
        stream.close()
    house.assert_closed(asked.result())


@BOTH_ENDLESS
def test_leaving_the_stream_helper_stops_the_provider(house: House, client: OpenAI, model: str) -> None:
    with house.one_request() as asked, client.chat.completions.stream(model=model, messages=HELLO) as stream:
        next(iter(stream))
    house.assert_closed(asked.result())
