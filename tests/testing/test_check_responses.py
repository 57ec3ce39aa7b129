"""The validator of Responses lets through what OpenAI sends, and names each thing that it would never send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from llmproxy.testing import check_response, check_response_stream, check_response_tokens
from tests.testing.recorded import recorded
from tests.thorough import each

Json = dict[str, Any]
Event = tuple[str, Json]
USAGE: Json = {
    "input_tokens": 3, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 4,
}  # fmt: skip
RESPONSE: Json = {
    "id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress", "model": "m", "output": [], "error": None,
    "incomplete_details": None, "instructions": None, "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0,
    "tool_choice": "auto", "tools": [], "top_p": 1.0,
}  # fmt: skip
PART: Json = {"type": "output_text", "text": "", "annotations": []}
SAID = {**PART, "text": "Hi"}
MESSAGE: Json = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
SPOKEN = {**MESSAGE, "status": "completed", "content": [SAID]}
IN_PART: Json = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
CALL: Json = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": ""}
CALLED = {**CALL, "arguments": '{"a":1}', "status": "completed"}
IN_CALL: Json = {"item_id": "fc_1", "output_index": 0}
THINK: Json = {"type": "reasoning", "id": "rs_1", "summary": []}
THOUGHT = {**THINK, "summary": [{"type": "summary_text", "text": "Hm"}]}
IN_SUMMARY: Json = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}

CREATED: Event = ("response.created", {"response": RESPONSE})
RUNS: Event = ("response.in_progress", {"response": RESPONSE})
ADD: Event = ("response.output_item.added", {"output_index": 0, "item": MESSAGE})
ADD_PART: Event = ("response.content_part.added", {**IN_PART, "part": PART})
HI: Event = ("response.output_text.delta", {**IN_PART, "delta": "Hi", "logprobs": []})
ALL: Event = ("response.output_text.done", {**IN_PART, "text": "Hi", "logprobs": []})
END_PART: Event = ("response.content_part.done", {**IN_PART, "part": SAID})
END: Event = ("response.output_item.done", {"output_index": 0, "item": SPOKEN})
ADD_CALL: Event = ("response.output_item.added", {"output_index": 0, "item": CALL})
PIECE: Event = ("response.function_call_arguments.delta", {**IN_CALL, "delta": '{"a":1}'})
PIECES: Event = ("response.function_call_arguments.done", {**IN_CALL, "arguments": '{"a":1}'})
END_CALL: Event = ("response.output_item.done", {"output_index": 0, "item": CALLED})
THINKING: tuple[Event, ...] = (
    ("response.output_item.added", {"output_index": 0, "item": THINK}),
    ("response.reasoning_summary_part.added", {**IN_SUMMARY, "part": {"type": "summary_text", "text": ""}}),
    ("response.reasoning_summary_text.delta", {**IN_SUMMARY, "delta": "Hm"}),
    ("response.reasoning_summary_text.done", {**IN_SUMMARY, "text": "Hm"}),
    ("response.reasoning_summary_part.done", {**IN_SUMMARY, "part": THOUGHT["summary"][0]}),
    ("response.output_item.done", {"output_index": 0, "item": THOUGHT}),
)
FAILED: Event = (
    "response.failed",
    {"response": {**RESPONSE, "status": "failed", "error": {"code": "server_error", "message": "It broke."}}},
)
TURN = (ADD, ADD_PART, HI, ALL, END_PART, END)
BEGUN = (CREATED, RUNS)


def ended(*output: Json, status: str = "completed", **members: Any) -> Event:
    response = {**RESPONSE, "status": status, "output": list(output), "usage": USAGE, **members}
    return f"response.{status}", {"response": response}


def sse(*events: Event, first: int = 0) -> bytes:
    frames = [
        (name, {"type": name, "sequence_number": number, **members})
        for number, (name, members) in enumerate(events, first)
    ]
    return b"".join(b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data)) for name, data in frames)


def changed(event: Event, **members: Any) -> Event:
    return event[0], {**event[1], **members}


def said(violations: Sequence[object]) -> str:
    return "\n".join(map(str, violations))


KEEPALIVE: Event = ("keepalive", {"sequence_number": 1})
GOOD = {
    "text": sse(*BEGUN, *TURN, ended(SPOKEN)),
    "text and [DONE]": sse(*BEGUN, *TURN, ended(SPOKEN)) + b"data: [DONE]\n\n",
    "a call": sse(*BEGUN, ADD_CALL, PIECE, PIECES, END_CALL, ended(CALLED)),
    "reasoning": sse(*BEGUN, *THINKING, ended(THOUGHT)),
    "an item sealed anew": sse(*BEGUN, *THINKING, ended({**THOUGHT, "encrypted_content": "b"})),
    "a failure": sse(*BEGUN, ADD, ADD_PART, HI, FAILED),
    "a keepalive that repeats the last number": sse(*BEGUN) + sse(KEEPALIVE) + sse(*TURN, ended(SPOKEN), first=2),
    "a keepalive with a number of its own": sse(*BEGUN, ("keepalive", {}), *TURN, ended(SPOKEN)),
    "an incomplete one": sse(
        *BEGUN, *TURN, ended(SPOKEN, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_stream_has_no_violations(name: str) -> None:
    assert said(check_response_stream(GOOD[name])) == ""


BAD = {
    "empty": (b"", "neither response.completed"),
    "cut": (sse(*BEGUN, ADD), "neither response.completed"),
    "only [DONE]": (sse(*BEGUN) + b"data: [DONE]\n\n", "[DONE] before the response has ended"),
    "no response.created": (sse(RUNS, *TURN, ended(SPOKEN)), "before response.created"),
    "two response.created": (sse(CREATED, CREATED, *TURN, ended(SPOKEN)), "a second response.created"),
    "a hole in the numbers": (sse(CREATED) + sse(RUNS, first=2), "2 after 0"),
    "an event without a number": (sse(CREATED, changed(RUNS, sequence_number=None)), "None after 0"),
    "another id": (
        sse(CREATED, ("response.in_progress", {"response": {**RESPONSE, "id": "resp_2"}})),
        "id or created_at changed",
    ),
    "an error event": (sse(*BEGUN, ("error", {"code": "x", "message": "y"})), "a failure is a response.failed"),
    "an event nobody knows": (sse(*BEGUN, ("response.thinking.delta", {})), "clients do not know"),
    "an item nobody knows": (sse(*BEGUN, changed(ADD, item={"type": "thought"})), "'thought'"),
    "a gap": (sse(*BEGUN, changed(ADD, output_index=1)), "the next one is 0"),
    "two items at once": (sse(*BEGUN, ADD, changed(ADD_CALL, output_index=1)), "begins while item 0 is open"),
    "a delta for another item": (sse(*BEGUN, ADD, ADD_PART, changed(HI, item_id="msg_2")), "the open item is 'msg_1'"),
    "a delta without an item": (sse(*BEGUN, HI), "while no item is open"),
    "a delta without a part": (sse(*BEGUN, ADD, HI), "without an open part"),
    "a delta without logprobs": (
        sse(*BEGUN, ADD, ADD_PART, ("response.output_text.delta", {**IN_PART, "delta": "Hi"})),
        "logprobs: missing",
    ),
    "a part that stays open": (sse(*BEGUN, ADD, ADD_PART, HI, ALL, END, ended(SPOKEN)), "is still open"),
    "another text at the end": (sse(*BEGUN, ADD, ADD_PART, HI, changed(ALL, text="Ho")), "but its pieces are 'Hi'"),
    "another text in the item": (
        sse(*BEGUN, *TURN[:-1], changed(END, item={**SPOKEN, "content": [PART]})),
        "but its pieces are 'Hi'",
    ),
    "text that never came": (sse(*BEGUN, ADD, END, ended(SPOKEN)), "has parts that never came"),
    "other arguments at the end": (
        sse(*BEGUN, ADD_CALL, PIECE, changed(PIECES, arguments="{}")),
        "arguments: '{}', but",
    ),
    "arguments that are no JSON": (
        sse(*BEGUN, ADD_CALL, changed(END_CALL, item={**CALLED, "arguments": "{}{}"})),
        "no JSON object",
    ),
    "an item that changes its id": (
        sse(*BEGUN, *TURN[:-1], changed(END, item={**SPOKEN, "id": "msg_2"})),
        "it began with 'msg_1'",
    ),
    "an item without its end": (sse(*BEGUN, *TURN[:-1], ended(SPOKEN)), "while item 0 is open"),
    "an output that is empty": (sse(*BEGUN, *TURN, ended()), "but the items that came are ['message']"),
    "an end without usage": (sse(*BEGUN, *TURN, ended(SPOKEN, usage=None)), "usage: expected an object"),
    "usage without its details": (
        sse(*BEGUN, *TURN, ended(SPOKEN, usage={**USAGE, "input_tokens_details": {}})),
        "cached_tokens: missing",
    ),
    "a failure without an error": (
        sse(*BEGUN, ("response.failed", {"response": {**RESPONSE, "status": "failed"}})),
        "missing although it failed",
    ),
    "incomplete without a reason": (
        sse(*BEGUN, *TURN, ended(SPOKEN, status="incomplete")),
        "missing although it is incomplete",
    ),
    "another status": (
        sse(*BEGUN, ("response.completed", {"response": RESPONSE})),
        "'in_progress' in response.completed",
    ),
    "something after the end": (sse(*BEGUN, *TURN, ended(SPOKEN), FAILED), "after response.completed"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_stream_is_named(name: str) -> None:
    stream, complaint = BAD[name]
    assert complaint in said(check_response_stream(stream))


def test_a_response_is_judged_whole() -> None:
    done = {**RESPONSE, "status": "completed", "usage": USAGE, "output": [SPOKEN, CALLED]}
    assert check_response(orjson.dumps(done)) == []
    assert "usage" in said(check_response(orjson.dumps({**done, "usage": None})))
    assert "tools: missing" in said(check_response(orjson.dumps({k: v for k, v in done.items() if k != "tools"})))
    raw = {**SPOKEN, "content": [{"type": "text", "text": "Hi"}]}
    assert "content[0].type: 'text'" in said(check_response(orjson.dumps({**done, "output": [raw]})))
    assert said(check_response_tokens(b'{"object": "response.input_tokens"}')) == "input_tokens: missing"


@each("case", recorded("openai-responses", "responses"))
def test_real_traffic_has_no_violations(case: Any) -> None:
    if case.status < 400:
        assert said((check_response_stream if case.stream else check_response)(case.body)) == ""
