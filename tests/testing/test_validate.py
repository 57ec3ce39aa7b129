"""The wire validator lets through what OpenAI sends, and names each thing that OpenAI would never send."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.testing import (
    check_chat,
    check_completion,
    check_embeddings,
    check_error,
    check_models,
    check_stream,
    chunk,
    completion,
    failure,
    sse,
)

USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
ROLE = chunk({"role": "assistant", "content": ""})
HELLO = chunk({"content": "Hello"})
STOP = chunk({}, finish="stop")
COUNT = chunk(usage=USAGE)
CALL = chunk(
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}],
    }
)
ARGUMENTS = chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
CALLED = chunk({}, finish="tool_calls")


def said(violations: list[Any]) -> str:
    return "\n".join(map(str, violations))


GOOD_STREAMS = {
    "text": (sse(ROLE, HELLO, STOP), False),
    "text with usage": (sse(ROLE, HELLO, STOP, COUNT), True),
    "role and text at once": (sse(chunk({"role": "assistant", "content": "Hello"}), STOP), False),
    "a ping between events": (sse(ROLE, b": ping\n", HELLO, b": ping\n", STOP), False),
    "a tool call": (sse(CALL, ARGUMENTS, CALLED), False),
    "two choices, interleaved": (
        sse(
            ROLE,
            chunk({"role": "assistant", "content": "b"}, index=1),
            HELLO,
            STOP,
            chunk({}, finish="length", index=1),
        ),
        False,
    ),
    "usage null until it comes": (sse({**ROLE, "usage": None}, {**STOP, "usage": None}, COUNT), True),
    "an error event in place of the end": (sse(ROLE, HELLO, failure(502), done=False), False),
    "unknown members": (sse({**ROLE, "provider": "x"}, chunk({"content": "a", "extra": 1}), STOP), False),
    "a chunk without choices that is not usage": (sse(chunk(moderation={}), ROLE, STOP), False),
}


@pytest.mark.parametrize("name", GOOD_STREAMS)
def test_a_good_stream_has_no_violations(name: str) -> None:
    stream, include_usage = GOOD_STREAMS[name]
    assert said(check_stream(stream, include_usage=include_usage)) == ""


BAD_STREAMS = {
    "empty": (b"", "no event at all"),
    "no end": (sse(ROLE, STOP, done=False), "neither [DONE] nor an error"),
    "two ends": (sse(ROLE, STOP) + b"data: [DONE]\n\n", "something after the done event"),
    "an end after an error": (sse(ROLE, failure(502)), "something after the error event"),
    "no finish": (sse(ROLE, HELLO), "choice 0 has no finish_reason"),
    "two finishes": (sse(ROLE, STOP, STOP), "after its finish"),
    "text after the finish": (sse(ROLE, STOP, HELLO), "after its finish"),
    "no role": (sse(HELLO, STOP), "missing in the choice's first chunk"),
    "two roles": (sse(ROLE, ROLE, STOP), "a second time"),
    "an unknown role": (sse(chunk({"role": "model"}), STOP), "expected assistant"),
    "usage unasked": (sse(ROLE, STOP, COUNT), "was not asked for"),
    "usage on the finish": (sse(ROLE, chunk({}, finish="stop", usage=USAGE)), "must be empty beside usage"),
    "another id": (sse(ROLE, {**STOP, "id": "other"}), "id, created or model changed"),
    "created missing": (sse({k: v for k, v in ROLE.items() if k != "created"}, STOP), "created: missing"),
    "an int code": (sse(ROLE, {"error": {**failure(500)["error"], "code": 500}}, done=False), "error.code"),
    "no param in the error": (
        sse(ROLE, {"error": {"message": "m", "type": "t", "code": None}}, done=False),
        "error.param: missing",
    ),
    "unknown finish": (sse(ROLE, chunk({}, finish="eos")), "finish_reason"),
    "finish_reason missing": (
        sse({**ROLE, "choices": [{"index": 0, "delta": {"role": "assistant"}}]}, STOP),
        "finish_reason: missing",
    ),
    "stop though a tool was called": (sse(CALL, STOP), "although tools were called"),
    "tool_calls though none was called": (sse(ROLE, CALLED), "although no tool was called"),
    "a tool call that begins at one": (
        sse(
            ROLE,
            chunk({"tool_calls": [{"index": 1, "id": "a", "type": "function", "function": {"name": "f"}}]}),
            CALLED,
        ),
        "only 0 calls have begun",
    ),
    "a tool call without index": (sse(ROLE, chunk({"tool_calls": [{"id": "a"}]}), STOP), "index: missing"),
    "a tool call without id": (
        sse(ROLE, chunk({"tool_calls": [{"index": 0, "type": "function", "function": {"name": "f"}}]}), CALLED),
        "missing in the call's first delta",
    ),
    "a tool call whose id changes": (
        sse(CALL, chunk({"tool_calls": [{"index": 0, "id": "other"}]}), CALLED),
        "changed from",
    ),
    "arguments as an object": (
        sse(CALL, chunk({"tool_calls": [{"index": 0, "function": {"arguments": {}}}]}), CALLED),
        "arguments",
    ),
    "CRLF": (sse(ROLE, STOP).replace(b"\n", b"\r\n"), "carriage return"),
    "an event name": (b"event: message\n" + sse(ROLE, STOP), "not a data line"),
    "an id": (b"id: 1\n" + sse(ROLE, STOP), "not a data line"),
    "retry": (b"retry: 3000\n\n" + sse(ROLE, STOP), "not a data line"),
    "empty data": (b"data: \n\n" + sse(ROLE, STOP), "empty data"),
    "data without a space": (sse(ROLE, STOP).replace(b"data: ", b"data:"), "not a data line"),
    "a comment that is closed by a blank line": (b": ping\n\n" + sse(ROLE, STOP), "a blank line that ends no event"),
    "a comment inside an event": (sse(ROLE, STOP).replace(b"\n\n", b"\n: ping\n\n", 1), "more than one line"),
    "a cut line": (sse(ROLE, STOP)[:-3], "ends inside a line"),
    "the last blank line missing": (sse(ROLE, STOP)[:-1], "its blank line is missing"),
    "not JSON": (sse(ROLE, b"data: {oops\n\n", STOP), "not JSON"),
    "HTML": (b"<html>\n</html>\n", "not a data line"),
    "choices that are not dense": (
        sse(chunk({"role": "assistant"}, index=1), chunk({}, finish="stop", index=1)),
        "choices [1]",
    ),
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_a_bad_stream_is_named(name: str) -> None:
    stream, complaint = BAD_STREAMS[name]
    assert complaint in said(check_stream(stream))


def test_usage_that_was_asked_for_is_demanded_unless_the_provider_has_none() -> None:
    assert "no usage chunk" in said(check_stream(sse(ROLE, STOP), include_usage=True))
    assert check_stream(sse(ROLE, STOP), include_usage=True, usage=False) == []


def test_usage_comes_once_and_last() -> None:
    assert "2 usage chunks" in said(check_stream(sse(ROLE, STOP, COUNT, COUNT), include_usage=True))
    assert "before every choice has finished" in said(check_stream(sse(ROLE, COUNT, STOP), include_usage=True))
    assert "choices after the usage" in said(check_stream(sse(ROLE, COUNT, STOP), include_usage=True))


def test_the_number_of_choices_can_be_demanded() -> None:
    assert "expected 2" in said(check_stream(sse(ROLE, STOP), choices=2))


def test_a_good_completion_has_no_violations() -> None:
    assert check_chat(orjson.dumps(completion())) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"object": "chat.completion.chunk"}, "object: expected chat.completion"),
        ({"created": "now"}, "created"),
        ({"created": True}, "created"),
        ({"choices": {}}, "choices: expected a list"),
        (
            {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}]},
            "refusal: missing",
        ),
        (
            {"choices": [{"index": 1, "message": completion()["choices"][0]["message"], "finish_reason": "stop"}]},
            "indexes are [1]",
        ),
        ({"usage": {"prompt_tokens": 1}}, "usage.completion_tokens: missing"),
        ({"usage": {**USAGE, "prompt_tokens": -1}}, "negative"),
    ],
)
def test_a_bad_completion_is_named(change: dict[str, Any], complaint: str) -> None:
    assert complaint in said(check_chat(orjson.dumps({**completion(), **change})))


def test_a_body_that_is_no_json_is_named() -> None:
    assert "not JSON" in said(check_chat(b"<html>"))


def test_errors_have_all_four_members() -> None:
    assert check_error(orjson.dumps(failure(400))) == []
    assert "code: missing" in said(check_error(b'{"error":{"message":"m","type":"t","param":null}}'))
    assert "error.code" in said(check_error(b'{"error":{"message":"m","type":"t","param":null,"code":404}}'))
    assert "expected an object" in said(check_error(b'[{"error":{}}]'))


def test_lists_of_models_and_embeddings() -> None:
    model = {"id": "m", "object": "model", "created": 1, "owned_by": "o"}
    assert check_models(orjson.dumps({"object": "list", "data": [model]})) == []
    assert "data[0].owned_by: missing" in said(
        check_models(b'{"object":"list","data":[{"id":"m","object":"model","created":1}]}')
    )
    vector = {"object": "embedding", "index": 0, "embedding": [0.5, 1]}
    body = {"object": "list", "data": [vector], "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    assert check_embeddings(orjson.dumps(body)) == []
    del body["usage"]
    assert "usage: missing" in said(check_embeddings(orjson.dumps(body)))
    assert check_embeddings(orjson.dumps(body), usage=False) == []


def test_text_completions() -> None:
    choice = {"index": 0, "text": "Hi", "logprobs": None, "finish_reason": "stop"}
    body = {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}
    assert check_completion(orjson.dumps(body)) == []
    assert check_stream(sse({**body, "choices": [{**choice, "finish_reason": None}]}, body), completions=True) == []
    assert "text: missing" in said(
        check_completion(orjson.dumps({**body, "choices": [{"index": 0, "logprobs": None}]}))
    )
