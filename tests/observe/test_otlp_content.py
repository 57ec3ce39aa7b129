"""Messages in spans: the conventions' roles and parts, of requests and answers in four dialects, whole, streamed and cut off."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.observe.otlp_content import REMOVED, content_of

CALL = {"type": "tool_call", "id": "c1", "name": "look", "arguments": '{"a":1}'}
TEXT = {"type": "text", "content": "Hello."}
QUESTIONS: dict[str, Any] = {
    "chat": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "x"}}]},
            {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "found"},
        ]
    },
    "messages": {
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image", "source": {"data": "x"}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "look", "input": "{}"}]},
            {"role": "tool", "content": "found", "tool_call_id": "c1"},
        ],
    },
    "responses": {
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "image_url": "data:x"}]},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "found"},
        ],
    },
}  # fmt: skip


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + orjson.dumps(one) + b"\n\n" for one in events)


def chunk(**delta: Any) -> Any:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


ANSWERS = {
    "chat": sse(
        chunk(role="assistant", content="Hel"),
        chunk(content="lo."),
        chunk(tool_calls=[{"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a"'}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}]),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ),
    "messages": sse(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo."}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "c1", "name": "look"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
        {"type": "message_delta", "delta": {"stop_reason": "stop"}},
    ),
    "responses": sse(
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hel"},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "lo."},
        {"type": "response.output_item.added", "output_index": 1, "item": {"call_id": "c1", "name": "look"}},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": '{"a":1}'},
    ),
    "whole": orjson.dumps(
        {"output": [{"content": [{"text": "Hello."}]}, {"call_id": "c1", "name": "look", "arguments": '{"a":1}'}]}
    ),
}  # fmt: skip


def told(question: Any = None, answer: bytes = b"") -> dict[str, Any]:
    asked = orjson.dumps(question) if question is not None else b""
    return {name: orjson.loads(one) for name, one in content_of(asked, answer).items() if one is not None}


@pytest.mark.parametrize("face", QUESTIONS)
def test_a_question_is_messages_with_parts_and_no_data_of_images(face: str) -> None:
    found = told(QUESTIONS[face])
    asked, called, answered = found["gen_ai.input.messages"]
    assert (asked["role"], asked["parts"][0]) == ("user", {"type": "text", "content": "Hi"})
    assert asked["parts"][1].keys() == {"type"}
    assert (called["role"], called["parts"]) == ("assistant", [{**CALL, "arguments": "{}"}])
    assert (answered["role"], answered["parts"]) == (
        "tool", [{"type": "tool_call_response", "id": "c1", "response": "found"}],
    )  # fmt: skip
    if face != "chat":
        assert found["gen_ai.system_instructions"] == [{"type": "text", "content": "Be brief."}]


@pytest.mark.parametrize("face", ANSWERS)
def test_an_answer_is_one_message_with_its_text_and_its_calls(face: str) -> None:
    [message] = told(answer=ANSWERS[face])["gen_ai.output.messages"]
    assert (message["role"], message["parts"]) == ("assistant", [TEXT, CALL])


def test_geminis_question_and_answer_have_the_same_form() -> None:
    question = {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
    }
    parts = [{"text": "Hel"}], [{"text": "lo."}], [{"functionCall": {"name": "look", "args": {"a": 1}}}]
    answer = sse(*({"candidates": [{"index": 0, "content": {"parts": one}}]} for one in parts))
    found = told(question, answer)
    assert found["gen_ai.input.messages"] == [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
    assert found["gen_ai.system_instructions"] == [{"type": "text", "content": "Be brief."}]
    [message] = found["gen_ai.output.messages"]
    assert message["parts"] == [TEXT, {**CALL, "id": None, "arguments": {"a": 1}}]


def test_what_was_cut_off_is_sent_as_far_as_it_goes() -> None:
    [message] = told(answer=ANSWERS["chat"][:130])["gen_ai.output.messages"]
    assert message["parts"] == [{"type": "text", "content": "Hel"}]
    cut = orjson.dumps(QUESTIONS["chat"])[:50]
    assert orjson.loads(content_of(cut, b"")["gen_ai.input.messages"] or "") == [
        {"role": "user", "parts": [{"type": "text", "content": cut.decode()}]}
    ]


NAMES = st.sampled_from([
    "choices", "candidates", "output", "content", "parts", "delta", "message", "messages", "input", "contents", "role", "text",
    "type", "tool_calls", "function", "name", "arguments", "item", "content_block", "response", "thinking", "functionResponse",
])  # fmt: skip
ANYTHING = st.recursive(
    st.none()
    | st.integers(0, 2)
    | st.sampled_from(["", "tool", "response.completed", "tool_result", "content_block_delta"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(body=st.dictionaries(NAMES, ANYTHING, max_size=4))
def test_no_question_and_no_answer_is_too_strange(body: Any) -> None:
    data = orjson.dumps(body)
    content_of(data, data)
    content_of(data, sse(body, body))


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\xff\xfe", b"[1, 2]", b'{"error": {"message": "no"}}'])
def test_what_is_no_message_is_no_fault(data: bytes) -> None:
    content_of(data, data)


@pytest.mark.parametrize(
    "key",
    ["sk-proj-abcdefghijklmnop0123", "llmp_AbCdEfGhIjKl_0123456789012345678901234567890123456789", "AIzaSyA0123456789abcdefghijk",
     "sk-ant-api03-abcdefghijklmnopqrstuvwx", "ghp_0123456789abcdefghijklmnopqrstuvwxyz"],
)  # fmt: skip
def test_what_looks_like_a_key_is_replaced(key: str) -> None:
    question = {"messages": [{"role": "user", "content": f"My key is {key}, is it safe?"}]}
    [message] = told(question)["gen_ai.input.messages"]
    assert message["parts"] == [{"type": "text", "content": f"My key is {REMOVED}, is it safe?"}]
