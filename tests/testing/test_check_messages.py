"""The validator of Messages lets through what Anthropic sends, and names each thing that it would never send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from llmproxy.testing import (
    check_message,
    check_message_error,
    check_message_models,
    check_message_stream,
    check_message_tokens,
)
from tests.testing.recorded import recorded
from tests.thorough import each

Json = dict[str, Any]
MESSAGE: Json = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1},
}  # fmt: skip
START: Json = {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}}
TEXT: Json = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
HI: Json = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
CLOSE: Json = {"type": "content_block_stop", "index": 0}
END: Json = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
CALLED: Json = {**END, "delta": {"stop_reason": "tool_use"}}
STOP: Json = {"type": "message_stop"}
PING: Json = {"type": "ping"}
FAILED: Json = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
CALL: Json = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
}
THINK: Json = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "thinking", "thinking": "", "signature": ""},
}


def grown(kind: str, **members: Any) -> Json:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, **members}}


THOUGHT = grown("thinking_delta", thinking="Hm")
SIGNED = grown("signature_delta", signature="abc")


def arguments(text: str) -> Json:
    return grown("input_json_delta", partial_json=text)


def sse(*events: Json) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (one["type"].encode(), orjson.dumps(one)) for one in events)


def second(event: Json) -> Json:
    return {**event, "index": 1}


def said(violations: Sequence[object]) -> str:
    return "\n".join(map(str, violations))


TURN = (TEXT, HI, CLOSE)
GOOD = {
    "text": sse(START, PING, *TURN, END, STOP),
    "a comment": b": hello\n\n" + sse(START, *TURN, END, STOP),
    "thinking, then text": sse(START, THINK, THOUGHT, SIGNED, CLOSE, *map(second, TURN), END, STOP),
    "thinking that shows only its signature": sse(START, THINK, SIGNED, CLOSE, END, STOP),
    "a call in pieces": sse(START, CALL, arguments('{"a":'), arguments("1}"), CLOSE, CALLED, STOP),
    "a call without arguments": sse(START, CALL, CLOSE, CALLED, STOP),
    "arguments that the limit cut": sse(
        START, CALL, arguments('{"a":'), CLOSE, {**END, "delta": {"stop_reason": "max_tokens"}}, STOP
    ),
    "nothing said": sse(START, END, STOP),
    "an error in place of the end": sse(START, TEXT, HI, FAILED),
    "further members": sse({**START, "more": 1}, *TURN, END, STOP),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_stream_has_no_violations(name: str) -> None:
    assert said(check_message_stream(GOOD[name])) == ""


BAD = {
    "empty": (b"", "neither message_stop nor an error"),
    "cut": (sse(START, TEXT, HI), "neither message_stop nor an error"),
    "cut in an event": (sse(START, *TURN, END, STOP)[:-9], "ends inside an event"),
    "no names": (sse(START, *TURN, END, STOP).replace(b"event: message_stop\n", b""), "no event: line"),
    "another name": (sse(START).replace(b"event: message_start", b"event: start"), "its type is 'message_start'"),
    "[DONE]": (sse(START, *TURN, END, STOP) + b"data: [DONE]\n\n", "[DONE]"),
    "two starts": (sse(START, START, *TURN, END, STOP), "a second message_start"),
    "no start": (sse(*TURN, END, STOP), "before message_start"),
    "no usage": (sse({"type": "message_start", "message": {**START["message"], "usage": {}}}), "input_tokens: missing"),
    "no usage at the end": (sse(START, *TURN, {**END, "usage": None}, STOP), "usage: expected an object"),
    "no stop_reason": (sse(START, *TURN, STOP), "no message_delta with a stop_reason"),
    "an OpenAI finish": (sse(START, *TURN, {**END, "delta": {"stop_reason": "stop"}}, STOP), "stop_reason"),
    "an event nobody knows": (sse(START, {"type": "thinking_start"}, END, STOP), "clients do not know"),
    "a block nobody knows": (sse(START, {**TEXT, "content_block": {"type": "image"}}, CLOSE, END, STOP), "'image'"),
    "a delta nobody knows": (sse(START, TEXT, grown("reasoning_delta"), CLOSE, END, STOP), "'reasoning_delta'"),
    "a delta of another kind": (sse(START, TEXT, THOUGHT, CLOSE, END, STOP), "thinking_delta in a block of type text"),
    "a gap": (sse(START, *map(second, TURN), END, STOP), "the next one is 0"),
    "two blocks at once": (sse(START, TEXT, second(CALL), CLOSE, END, STOP), "while another block is open"),
    "a delta for another block": (sse(START, TEXT, second(HI), CLOSE, END, STOP), "the open block is 0"),
    "a delta without a block": (sse(START, HI, END, STOP), "while no block is open"),
    "a block that begins with text": (
        sse(START, {**TEXT, "content_block": MESSAGE["content"][0]}, CLOSE, END, STOP),
        "begins with ''",
    ),
    "a block without its text": (
        sse(START, {**TEXT, "content_block": {"type": "text"}}, CLOSE, END, STOP),
        "text: missing",
    ),
    "two signatures": (sse(START, THINK, SIGNED, SIGNED, CLOSE, END, STOP), "signature_delta after the signature"),
    "thoughts after the signature": (sse(START, THINK, SIGNED, THOUGHT, CLOSE, END, STOP), "after the signature"),
    "arguments run together": (
        sse(START, CALL, arguments("{}"), arguments("{}"), CLOSE, CALLED, STOP),
        "no JSON objects",
    ),
    "a call that ends the turn": (sse(START, CALL, CLOSE, END, STOP), "end_turn although a tool was called"),
    "tool_use without a call": (sse(START, *TURN, CALLED, STOP), "tool_use although no tool was called"),
    "an end before the block's": (sse(START, TEXT, HI, END, STOP), "while a block is open"),
    "something after the end": (sse(START, *TURN, END, STOP, END), "message_delta after message_stop"),
    "an end after an error": (sse(START, FAILED, STOP), "message_stop after error"),
    "an OpenAI error": (sse(START, {"type": "error", "error": {"code": "x", "message": "y"}}), "error.type: missing"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_stream_is_named(name: str) -> None:
    stream, complaint = BAD[name]
    assert complaint in said(check_message_stream(stream))


def test_a_message_is_judged_whole() -> None:
    call = {"type": "tool_use", "id": "a", "name": "f", "input": "{}"}
    assert check_message(orjson.dumps(MESSAGE)) == []
    assert "input: expected an object" in said(check_message(orjson.dumps({**MESSAGE, "content": [call]})))
    assert "although a tool was called" in said(check_message(orjson.dumps({**MESSAGE, "content": [call]})))
    assert "stop_reason: missing" in said(
        check_message(orjson.dumps({k: v for k, v in MESSAGE.items() if k != "stop_reason"}))
    )


def test_an_error_has_the_type_of_its_status() -> None:
    assert check_message_error(orjson.dumps(FAILED), 529) == []
    assert "which is rate_limit_error" in said(check_message_error(orjson.dumps(FAILED), 429))
    assert "type: missing" in said(check_message_error(b'{"error": {"message": "x", "type": "api_error"}}'))


def test_models_and_counts() -> None:
    model = {"type": "model", "id": "a", "display_name": "A", "created_at": "2026-01-01T00:00:00Z"}
    page = {"data": [model], "has_more": False, "first_id": "a", "last_id": "a"}
    assert check_message_models(orjson.dumps(page)) == []
    assert "the list has" in said(check_message_models(orjson.dumps({**page, "last_id": "b"})))
    assert check_message_tokens(b'{"input_tokens": 3}') == []
    assert said(check_message_tokens(b"{}")) == "input_tokens: missing"


@each("case", recorded("anthropic", "messages"))
def test_real_traffic_has_no_violations(case: Any) -> None:
    if case.status >= 400:
        assert said(check_message_error(case.body, case.status)) == ""
    else:
        assert said((check_message_stream if case.stream else check_message)(case.body)) == ""
