"""The stream of a translated answer: OpenAI's events in OpenAI's order, whatever the chat provider sends."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.config import Limits
from llmproxy.core.errors import Cancelled, GatewayError, Truncated, UpstreamError
from llmproxy.dialects.responses.errors import failure
from llmproxy.testing import Behaviour, FakeProvider, chunk, sse
from tests.dialects.responses.house import House, Open, checked, kinds, last, said, text
from tests.dialects.streams import call, parsed

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
MESSAGE = [
    "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
    "output_item.done",
]  # fmt: skip
CALL = ["output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"]
THOUGHT = [
    "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.done",
    "reasoning_summary_part.done", "output_item.done",
]  # fmt: skip


async def test_a_text_is_one_message_with_one_part(house: House, provider: FakeProvider) -> None:
    provider.streams(*said({"content": "Hello"}))
    events = await house.events(input="Hi")
    assert kinds(events) == ["created", "in_progress", *MESSAGE, "completed"]
    assert text(last(events)) == "Hello"


async def test_reasoning_text_and_calls_follow_each_other_as_items(house: House, provider: FakeProvider) -> None:
    provider.streams(
        *said(
            {"reasoning_content": "Hm."}, {"content": "Let me look."}, call(0, "call_1", "look", "{}"),
            call(1, "call_2", "look", "{}"), finish="tool_calls",
        )
    )  # fmt: skip
    events = await house.events(input="Hi", tools=[TOOL])
    assert kinds(events) == ["created", "in_progress", *THOUGHT, *MESSAGE, *CALL, *CALL, "completed"]
    output = last(events)["output"]
    assert [one["type"] for one in output] == ["reasoning", "message", "function_call", "function_call"]
    assert [one["call_id"] for one in output[2:]] == ["call_1", "call_2"]


async def test_calls_whose_pieces_interleave_come_one_after_the_other(house: House, provider: FakeProvider) -> None:
    pieces = [
        call(0, "a", "look", '{"x'),
        call(1, "b", "look", '{"y'),
        call(0, "", "", '":1}'),
        call(1, "", "", '":2}'),
    ]
    provider.streams(*said(*pieces, finish="tool_calls"))
    output = last(await house.events(input="Hi", tools=[TOOL]))["output"]
    assert [(one["call_id"], one["arguments"]) for one in output] == [("a", '{"x":1}'), ("b", '{"y":2}')]


async def test_usage_has_both_details(house: House, provider: FakeProvider) -> None:
    provider.streams(*said({"content": "Hello"}))
    assert last(await house.events(input="Hi"))["usage"] == {
        "input_tokens": 50,
        "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 70,
    }


async def test_an_uncounted_answer_is_estimated(house: House, provider: FakeProvider) -> None:
    provider.streams(sse(chunk({"content": "12345678"}), chunk({}, finish="stop")))
    usage = last(await house.events(input="Hi"))["usage"]
    assert usage["output_tokens"] == 2
    assert usage["input_tokens"] > 0


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
async def test_a_cut_answer_is_incomplete_and_says_why(
    house: House, provider: FakeProvider, finish: str, reason: str
) -> None:
    provider.streams(*said({"content": "Hel"}, finish=finish))
    events = await house.events(input="Hi")
    assert kinds(events)[-1] == "incomplete"
    assert (last(events)["status"], last(events)["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert last(events)["output"][0]["status"] == "incomplete"


async def test_a_refusal_is_a_part_of_its_own(house: House, provider: FakeProvider) -> None:
    provider.streams(*said({"content": "Well."}, {"refusal": "I will not."}))
    events = await house.events(input="Hi")
    assert "refusal.delta" in kinds(events)
    assert "refusal.done" in kinds(events)
    content = last(events)["output"][0]["content"]
    assert [one["type"] for one in content] == ["output_text", "refusal"]
    assert content[1]["refusal"] == "I will not."


async def test_citations_become_annotations(house: House, provider: FakeProvider) -> None:
    cited = {"url": "https://example.org", "title": "Example", "start_index": 0, "end_index": 5}
    provider.streams(
        *said(
            {"content": "Hello"}, {"annotations": [{"type": "url_citation", "url_citation": cited}]}, {"content": "!"}
        )
    )
    events = await house.events(input="Hi")
    assert kinds(events).count("output_text.annotation.added") == 1
    part = last(events)["output"][0]["content"][0]
    assert (part["text"], part["annotations"]) == ("Hello!", [{"type": "url_citation", **cited}])


async def test_the_response_says_the_request_again(house: House, provider: FakeProvider) -> None:
    provider.streams(*said({"content": "Hello"}))
    asked: dict[str, Any] = {
        "instructions": "Be brief.", "temperature": 0.5, "tools": [TOOL], "tool_choice": "none", "metadata": {"a": "b"},
        "max_output_tokens": 99, "reasoning": {"effort": "low"}, "parallel_tool_calls": False,
    }  # fmt: skip
    events = await house.events(input="Hi", **asked)
    plain = asked.keys() - {"reasoning", "tools"}
    for response in (events[0]["response"], events[1]["response"], last(events)):
        assert {name: response[name] for name in plain} == {name: asked[name] for name in plain}
        assert response["tools"][0]["name"] == "look"
        assert response["reasoning"]["effort"] == "low"
    assert events[0]["response"]["id"] == last(events)["id"]
    assert events[0]["response"]["output"] == []


async def test_what_the_request_left_out_is_said_all_the_same(house: House, provider: FakeProvider) -> None:
    """Open Responses wants every member."""
    provider.streams(*said({"content": "Hello"}))
    format = {"type": "json_schema", "name": "city", "schema": {"type": "object"}}
    response = last(await house.events(input="Hi", tools=[TOOL], text={"format": format}))
    assert response["tools"] == [{"description": None, "strict": None, **TOOL}]
    assert response["text"] == {"verbosity": "medium", "format": {"description": None, "strict": False, **format}}
    assert (response["temperature"], response["top_p"], response["truncation"]) == (1.0, 1.0, "disabled")


async def test_a_cut_stream_fails_with_what_was_said(house: House, provider: FakeProvider) -> None:
    provider.cuts(said({"content": "Hel"}, {"content": "lo"})[0], after=10_000)
    events = await house.events(input="Hi")
    assert kinds(events)[-1] == "failed"
    assert last(events)["status"] == "failed"
    assert last(events)["error"]["code"] == "server_error"
    assert text(last(events)) == "" or last(events)["output"][0]["status"] == "incomplete"
    assert "error" not in kinds(events)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UpstreamError("No.", status=400, code="context_length_exceeded"), "context_length_exceeded"),
        (UpstreamError("No.", status=429, code="insufficient_quota"), "insufficient_quota"),
        (UpstreamError("No.", status=429), "rate_limit_exceeded"),
        (UpstreamError("No.", status=503, code="overloaded"), "server_is_overloaded"),
        (UpstreamError("No.", status=529, code="overloaded_error"), "server_is_overloaded"),
        (UpstreamError("No.", status=400, code="invalid_value"), "invalid_prompt"),
        (Truncated("No."), "server_error"),
        (Cancelled.because("api"), "invalid_prompt"),
    ],
)
def test_a_failure_has_the_code_that_codex_knows(error: GatewayError, told: str) -> None:
    assert failure(error)["code"] == told


def test_how_long_to_wait_stands_in_the_sentence() -> None:
    error = UpstreamError("Too many requests.", status=429, wait=1.5)
    assert failure(error)["message"] == "Too many requests. Please try again in 1.5s."


async def test_a_context_that_is_too_long_is_told_so_in_the_stream(house: House, provider: FakeProvider) -> None:
    error = {"message": "Too long.", "type": "invalid_request_error", "code": "context_length_exceeded"}
    provider.streams(sse(chunk({"content": "Hel"}), {"error": error}))
    events = await house.events(input="Hi")
    assert kinds(events)[-1] == "failed"
    assert last(events)["error"]["code"] == "context_length_exceeded"


async def test_a_failure_before_the_start_is_told_by_status(house: House, provider: FakeProvider) -> None:
    provider.fails(429, {"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}, {"Retry-After": "2"})
    status, body = await house.call("POST", "/v1/responses", {"model": "m", "input": "Hi", "stream": True})
    assert (status, body["error"]["message"]) == (429, "Slow down.")
    assert body["error"].keys() >= {"message", "type", "param", "code"}


async def test_a_silent_stream_is_kept_alive_by_typed_events_that_take_no_number(
    opened: Open, provider: FakeProvider
) -> None:
    provider.streams(*said({"content": "Hel"}, {"content": "lo"}), every=0.3)
    async with opened(limits=Limits(ping=0.1)) as house:
        events = checked(await house.stream(input="Hi"))
    pings = [number for number, event in enumerate(events) if event["type"] == "keepalive"]
    assert pings
    for number in pings:
        assert events[number]["sequence_number"] == events[number - 1]["sequence_number"]


async def test_before_the_first_event_only_a_comment_is_sent(opened: Open, provider: FakeProvider) -> None:
    provider.streams(b": wait\n\n", *said({"content": "Hello"}), every=0.3)
    async with opened(limits=Limits(early_ping=0.05)) as house:
        stream = await house.stream(input="Hi")
    assert stream.startswith(b":")
    assert kinds(checked(stream))[0] == "created"


async def test_what_fails_after_an_early_status_is_a_whole_failed_response(
    opened: Open, provider: FakeProvider
) -> None:
    provider.does(Behaviour([b'{"error":{"message":"No."}}'], 500, {"content-type": "application/json"}, delay=0.3))
    async with opened(limits=Limits(early_ping=0.05)) as house:
        events = parsed(await house.stream(input="Hi"))
    assert kinds(events) == ["created", "failed"]
