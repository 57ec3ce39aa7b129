"""Answers as Messages: blocks one after the other, signatures with their end, the truth at the end, no end without one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.config import Limits
from llmproxy.testing import Behaviour, FakeProvider, chunk, sse
from llmproxy.wire.foreign_reasoning import Packed, unpack
from tests.dialects.messages.house import House, Open, blocks, checked, said
from tests.dialects.streams import Json, call, parsed


async def test_the_end_has_the_true_usage_and_the_beginning_an_estimate(house: House, provider: FakeProvider) -> None:
    provider.streams(*said({"content": "Hi"}))
    events = await house.events(messages=[{"role": "user", "content": "word " * 200}])
    assert events[0]["message"]["usage"]["input_tokens"] > 200
    assert events[-2]["usage"] == {
        "input_tokens": 40,
        "cache_creation_input_tokens": 2,
        "cache_read_input_tokens": 8,
        "output_tokens": 20,
    }


async def test_without_a_usage_numbers_are_estimated(house: House, provider: FakeProvider) -> None:
    provider.streams(sse(chunk({"content": "word " * 20}), chunk({}, finish="stop")))
    events = await house.events()
    assert events[-2]["usage"]["output_tokens"] == 25


async def test_calls_that_interleave_are_blocks_one_after_the_other(house: House, provider: FakeProvider) -> None:
    provider.streams(
        *said(
            call(0, "call_a", "one", '{"a":'),
            call(1, "call_b", "two", '{"b":'),
            call(0, "", "", "1}"),
            call(1, "", "", "2}"),
            finish="tool_calls",
        )
    )
    made = blocks(await house.events())
    assert [(block["name"], block["input"]) for block in made] == [("one", {"a": 1}), ("two", {"b": 2})]


async def test_an_id_of_other_letters_is_made_one_that_anthropic_allows(house: House, provider: FakeProvider) -> None:
    provider.streams(*said(call(0, "functions.look:0", "look", "{}"), finish="tool_calls"))
    [block] = blocks(await house.events())
    assert block["id"].startswith("toolu_")


async def test_reasoning_of_another_provider_carries_its_state_in_the_signature(
    house: House, provider: FakeProvider
) -> None:
    detail = {"type": "reasoning.text", "text": "Hm.", "signature": "sig", "format": "other-v1", "index": 0}
    provider.streams(*said({"reasoning_content": "Hm.", "reasoning_details": [detail]}, {"content": "Yes"}))
    thought, text = blocks(await house.events())
    assert (thought["thinking"], text["text"]) == ("Hm.", "Yes")
    assert unpack(thought["signature"]) == Packed((detail,))


async def test_what_is_bound_to_a_call_is_a_redacted_block_before_it_and_comes_back(
    house: House, provider: FakeProvider
) -> None:
    extra = {"google": {"thought_signature": "abc"}}
    provider.streams(*said(call(0, "call_1", "look", "{}", extra_content=extra), finish="tool_calls"))
    made = blocks(await house.events())
    assert [block["type"] for block in made] == ["redacted_thinking", "tool_use"]
    provider.streams(*said({"content": "Blue."}))
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "sky"}
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": made},
        {"role": "user", "content": [result]},
    ]
    await house.events(messages=turns)
    sent = provider.last.json["messages"]
    assert sent[1]["tool_calls"][0]["extra_content"] == extra
    assert sent[2] == {"role": "tool", "tool_call_id": "call_1", "content": "sky"}


async def test_citations_come_with_their_text(house: House, provider: FakeProvider) -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "Example"}}
    provider.streams(*said({"content": "Yes[1]"}, {"annotations": [cited]}))
    [text] = blocks(await house.events())
    assert [one["url"] for one in text["citations"]] == ["https://example.com"]


@pytest.mark.parametrize(
    ("finish", "told"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal"), ("tool_calls", "tool_use")],
)
async def test_each_finish_has_its_stop_reason(house: House, provider: FakeProvider, finish: str, told: str) -> None:
    delta = call(0, "c", "look", "{}") if finish == "tool_calls" else {"content": "Hi"}
    provider.streams(*said(delta, finish=finish))
    assert (await house.events())[-2]["delta"]["stop_reason"] == told


async def test_a_refusal_is_a_text_with_its_stop_reason(house: House, provider: FakeProvider) -> None:
    provider.streams(*said({"refusal": "No."}))
    events = await house.events()
    assert blocks(events) == [{"type": "text", "text": "No."}]
    assert events[-2]["delta"]["stop_reason"] == "refusal"


async def test_a_cut_stream_ends_with_an_error_event(house: House, provider: FakeProvider) -> None:
    provider.cuts(said({"content": "Hel"})[0], after=10_000)
    events = parsed(await house.stream())
    assert [event["type"] for event in events[-2:]] == ["content_block_delta", "error"]
    assert events[-1]["error"]["type"] == "api_error"


async def test_a_json_answer_is_what_its_stream_comes_to(house: House, provider: FakeProvider) -> None:
    deltas: list[Json] = [
        {"reasoning_content": "Hm."},
        {"content": "One "},
        {"content": "two."},
        call(0, "call_a", "one", '{"a":'),
        call(0, "", "", "1}"),
        call(1, "call_b", "now", ""),
    ]
    provider.streams(*said(*deltas, finish="tool_calls"))
    streamed = await house.events()
    provider.streams(*said(*deltas, finish="tool_calls"))  # a provider may stream what was not asked to be
    answer = await house.ask()
    assert answer["content"] == blocks(streamed)
    assert answer["stop_reason"] == "tool_use"
    assert answer["usage"] == streamed[-2]["usage"]


async def test_a_silent_stream_is_kept_alive_by_pings_after_its_beginning(opened: Open, provider: FakeProvider) -> None:
    async with opened(limits=Limits(ping=0.05)) as house:
        provider.streams(*said({"content": "a"}, {"content": "b"}), every=0.2)
        stream = await house.stream()
    assert b'event: ping\ndata: {"type": "ping"}\n\n' in stream
    assert stream.index(b"message_start") < stream.index(b"event: ping")
    checked(stream)


async def test_before_the_beginning_only_comments_keep_it_alive(opened: Open, provider: FakeProvider) -> None:
    async with opened(limits=Limits(early_ping=0.05)) as house:
        provider.does(Behaviour(said({"content": "a"}), headers={"content-type": "text/event-stream"}, delay=0.2))
        stream = await house.stream()
    assert stream.startswith(b": ping\n")
    checked(stream)


@pytest.mark.parametrize("path", ["/v1/messages?beta=true", "/v1/v1/messages", "/messages"])
async def test_every_form_of_the_address_that_clients_use_is_answered(
    house: House, provider: FakeProvider, path: str
) -> None:
    provider.streams(*said({"content": "a"}))
    checked(await house.stream(path))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "max_tokens"),
        ({"max_tokens": 1}, "messages"),
        ({"max_tokens": 1, "messages": []}, "messages"),
        ({"max_tokens": 1, "messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"max_tokens": 1, "messages": [{"role": "user"}]}, "messages.0.content"),
        ({"max_tokens": 1, "messages": [{"role": "user", "content": [{}]}]}, "messages.0.content.0.type"),
        ({"max_tokens": "9", "messages": [{"role": "user", "content": "x"}]}, "max_tokens"),
    ],
)
async def test_a_bad_request_is_said_with_its_place(house: House, body: Json, param: str) -> None:
    status, answer = await house.call("POST", "/v1/messages", {"model": "m", **body})
    assert status == 400
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["message"].startswith(f"{param}: ")


@pytest.mark.parametrize(
    ("said_by_provider", "told"),
    [
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            "prompt is too long: 9000 tokens > 8192 maximum",
        ),
        (
            "max_tokens is too large: 32000. This model supports at most 16384 completion tokens.",
            "max_tokens: 32000 > 16384, which is the maximum allowed number of output tokens",
        ),
    ],
)
async def test_what_claude_code_acts_on_is_said_in_anthropics_words(
    house: House, provider: FakeProvider, said_by_provider: str, told: str
) -> None:
    code: Any = "context_length_exceeded" if "context" in said_by_provider else "invalid_value"
    provider.fails(400, {"error": {"message": said_by_provider, "type": "invalid_request_error", "code": code}})
    status, answer = await house.call(
        "POST", "/v1/messages", {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    )
    assert status == 400
    assert answer["error"]["message"].startswith(told)


async def test_the_id_of_a_request_stops_it(house: House, provider: FakeProvider) -> None:
    provider.streams(*said({"content": "a"})[:1], ending="hang")
    body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "x"}]}
    sent = {"Content-Type": "application/json", "X-Request-ID": "request-of-mine"}
    async with house.client.post(f"{house.url}/v1/messages", data=orjson.dumps(body), headers=sent) as response:
        assert response.headers["request-id"] == "request-of-mine"
        await response.content.readuntil(b"content_block_delta\n")
        await house.call("POST", "/v1/requests/request-of-mine/cancel", {})
        rest = await response.read()
    assert b"event: error" in rest
    assert b"message_stop" not in rest
