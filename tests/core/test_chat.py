"""A question: read from the client's bytes once, and rendered for a provider by splicing those very bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmproxy.core.chat import Chat, Face, Json, whole
from llmproxy.core.errors import BadRequest
from llmproxy.core.trace import Trace
from llmproxy.core.usage import Usage
from llmproxy.dialects.chat_completions.request import parse_chat
from llmproxy.dialects.completions.request import parse_completion
from llmproxy.dialects.embeddings.request import parse_embedding
from llmproxy.wire.json_body import parse_body
from tests.core.kit import lean, thorough

MODEL = "provider's-own/näme"
ADDED: Json = {"stream_options": {"include_usage": True}}


def said(raw: bytes, model: str = MODEL) -> Chat:
    return Chat(orjson.loads(raw), model, raw=raw)


def slowly(chat: Chat, **added: Any) -> Json:
    """What `render` must say, written anew."""
    return {**chat.body, **added, "model": chat.model}


# Rendering


def test_with_its_own_model_the_clients_bytes_go_out_as_they_came() -> None:
    raw = b'{ "messages":[ ],\n"model" : "m", "temperature":1.0, "x":1e400000 }'.replace(b"1e400000", b"1.50")
    assert said(raw, "m").render() is raw


def test_only_the_models_name_is_replaced() -> None:
    raw = b'{ "t": 1.0,\n\t"model" : "fast" ,"big": 12345678901234567890, "u":"\\u00e9\\/" }'
    assert said(raw, "m").render() == raw.replace(b'"fast"', b'"m"')


def test_members_are_added_behind_the_model() -> None:
    raw = b'{"model":"fast","messages":[]}'
    assert said(raw, "m").render(**ADDED) == b'{"model":"m","stream_options":{"include_usage":true},"messages":[]}'


def test_a_large_body_is_cut_and_not_copied() -> None:
    raw = b'{"model":"fast","messages":[{"role":"user","content":"%b"}]}' % (b"x" * 100_000)
    pieces = said(raw, "m").render()
    assert whole(pieces) == raw.replace(b'"fast"', b'"m"')
    assert [piece.obj is raw for piece in pieces if isinstance(piece, memoryview)] == [True, True]


def test_members_that_the_client_sent_are_overridden() -> None:
    raw = b'{"model":"fast","stream_options":{"include_usage":false}}'
    assert orjson.loads(whole(said(raw).render(**ADDED))) == {"model": MODEL, **ADDED}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"metadata":{"model":"x"},"messages":[]}',
        b'{"metadata":{"model":"x"},"model":"fast"}',
        b'{"model":"fast","metadata":{"model":"x"}}',
        b'{"model":null,"metadata":{"model":"x"}}',
        b'{"model":"","metadata":{"model":"x"}}',
        b'{"mod\\u0065l":"fast","metadata":{"model":"fast"}}',
        b'{"\\u006Dodel":"fast","metadata":{"model":"fast"}}',
        b'{"\\"model":"x","messages":[]}',
        b'{"\\\\\\"model":"fast"}',
        b'{"messages":[{"content":"\\"model\\": \\"no\\""}],"model":"fast"}',
        b'{"messages":["model","x"],"model":"fast"}',
        b'{"messages":["model"],"m":{"x":"model"},"model":"fast"}',
        b'{"model":"\\u0066ast"}',
        b'{"model":"fa\\"st\\\\"}',
        b'{"messages":[]}',
    ],
)
@pytest.mark.parametrize("added", [{}, ADDED])
def test_the_model_is_replaced_where_it_stands_and_nowhere_else(raw: bytes, added: Json) -> None:
    chat = said(raw)
    assert orjson.loads(whole(chat.render(**added))) == slowly(chat, **added)


KEYS = st.sampled_from(["model", "messages", "stream", "stream_options", '"model', "mödel", "a", "\\", ""])
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["model", '"model": "x"', "fast", '\\"model\\":', "世🌍\u2028"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)
WRITTEN = st.builds(
    lambda body, ascii, separators, indent: json.dumps(
        body, ensure_ascii=ascii, separators=separators, indent=indent
    ).encode(),
    st.one_of(
        st.dictionaries(KEYS, VALUES, max_size=5),
        st.builds(
            lambda model, rest: {**rest, "model": model},
            st.sampled_from(["fast", "x", "世"]),
            st.dictionaries(KEYS, VALUES, max_size=4),
        ),
    ),
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :\t")]),
    st.sampled_from([None, 1]),
)


@given(WRITTEN, st.sampled_from([{}, ADDED, {"stream": True, **ADDED}]), st.sampled_from([MODEL, "fast", 'a"\\b']))
@thorough
def test_splicing_says_what_writing_anew_would(raw: bytes, added: Json, model: str) -> None:
    chat = said(raw, model)
    assert orjson.loads(whole(chat.render(**added))) == slowly(chat, **added)


def test_a_changed_question_is_written_anew_without_what_was_removed() -> None:
    chat = said(b'{"model":"fast","n":2,"x":1}').with_fields(n=None, stream=True)
    assert orjson.loads(whole(chat.render())) == {"model": MODEL, "x": 1, "stream": True}


def test_asking_another_model_keeps_the_bytes() -> None:
    raw = b'{ "model": "fast" }'
    assert said(raw).asking("other").render() == b'{ "model": "other" }'


def test_a_dropped_parameter_is_noted_once_and_only_if_it_was_there() -> None:
    chat = said(b'{"model":"fast","seed":1,"top_k":null}')
    dropped = chat.drop("seed", "top_k", "other").drop("seed")
    assert chat.trace.dropped == ["seed"]
    assert "seed" not in dropped.body
    assert chat.body["seed"] == 1


def test_dropping_nothing_keeps_the_question() -> None:
    chat = said(b'{"model":"fast"}')
    assert chat.drop("seed") is chat


@pytest.mark.parametrize(
    ("body", "stream", "include_usage"),
    [
        ({}, False, False),
        ({"stream": True, "stream_options": {"include_usage": True}}, True, True),
        ({"stream": False, "stream_options": {"include_usage": False}}, False, False),
        ({"stream": 1, "stream_options": None}, False, False),
        ({"stream_options": {"include_usage": 1}}, False, False),
    ],
)
def test_what_a_question_asks_of_the_stream(body: Json, stream: bool, include_usage: bool) -> None:
    chat = Chat(body, "m")
    assert (chat.stream, chat.include_usage) == (stream, include_usage)


# Usage


@pytest.mark.parametrize(
    ("raw", "counts"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2}, (3, 2, 0, 0, None)),
        (
            {"completion_tokens_details": {"reasoning_tokens": 7}, "prompt_tokens_details": {"cached_tokens": 5}},
            (0, 0, 7, 5, None),
        ),
        ({"reasoning_tokens": 7, "cost": 0.5}, (0, 0, 7, 0, 0.5)),
        ({"cost": {"total_cost": 0.006, "input_tokens_cost": 1}}, (0, 0, 0, 0, 0.006)),
        (
            {"prompt_tokens": "3", "completion_tokens": -1, "completion_tokens_details": None, "cost": "free"},
            (0, 0, 0, 0, None),
        ),
        ({}, (0, 0, 0, 0, None)),
    ],
)
def test_usage_is_read_as_it_is_said(raw: Json, counts: tuple[Any, ...]) -> None:
    usage = Usage.parse(raw)
    assert (usage.prompt, usage.completion, usage.reasoning, usage.cached, usage.cost) == counts
    assert usage.raw is raw


# Parsing


PARSERS: dict[str, Callable[..., Chat]] = {
    "chat": parse_chat,
    "completions": parse_completion,
    "embeddings": parse_embedding,
}


def parsed(body: Any, face: Face = "chat", **more: Any) -> Chat:
    return PARSERS[face](body if isinstance(body, bytes) else orjson.dumps(body), Trace(), **more)


ASKED: Json = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def refused(body: Any, face: Face = "chat") -> tuple[str | None, str | None]:
    with pytest.raises(BadRequest) as caught:
        parsed(body, face)
    assert caught.value.status == 400
    return caught.value.param, caught.value.code


def test_a_question_keeps_its_bytes_and_every_member() -> None:
    raw = orjson.dumps({**ASKED, "x_tomorrow": {"a": [1]}, "temperature": None})
    chat = parsed(raw)
    assert chat.raw is raw
    assert chat.body == orjson.loads(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'"text"', b'{"a":NaN}', b"\xff", b'{"a":"\\ud83d"}', b"[" * 5000]
)
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    assert refused(raw) == (None, "invalid_json")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"a","model":"b"}',
        b'{"x":{"model":1,"model":2},"model":"a"}',
        b'{"model":"a","m":{"model":"b","x":1,"x":2}}',
    ],
)
def test_a_member_said_twice_is_refused(raw: bytes) -> None:
    assert refused(raw)[1] == "invalid_json"


@pytest.mark.parametrize(
    "deep",
    [
        b'{"model":"a","t":{"model":1},"d":' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"model":"a","t":{"model":1},"d":' + b"1" * 5000 + b"}",
    ],
)
def test_a_body_that_cannot_be_looked_at_closely_is_refused(deep: bytes) -> None:
    assert refused(deep)[1] == "invalid_json"


def test_a_deeper_model_is_no_double() -> None:
    raw = b'{"model":"a","messages":[{"role":"user","content":"x"}],"metadata":{"model":"b"}}'
    assert parsed(raw).model == "a"


def test_no_model_takes_the_default_if_there_is_one() -> None:
    body = {"messages": ASKED["messages"]}
    assert parsed(body, default_model="fast").model == "fast"
    assert refused(body) == ("model", "missing_required_parameter")


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"model": 5}, "model", "invalid_type"),
        ({"model": "x" * 513}, "model", "invalid_type"),
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": "Hi"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": ["Hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role", "invalid_type"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": []}, "stream_options", "invalid_type"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"max_tokens": -1}, "max_tokens", "integer_below_min_value"),
        ({"max_completion_tokens": True}, "max_completion_tokens", "invalid_type"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 129}, "n", "invalid_value"),
        ({"n": 1.5}, "n", "invalid_type"),
        ({"stop": ["x"] * 65}, "stop", "array_above_max_length"),
        ({"logprobs": "yes"}, "logprobs", "invalid_type"),
    ],
)
def test_a_mistake_is_told_by_its_place(members: Json, param: str, code: str) -> None:
    assert refused({**ASKED, **members}) == (param, code)


@pytest.mark.parametrize(
    "members",
    [{"stream": None}, {"max_tokens": None, "n": None, "tools": None}, {"logprobs": True}, {"max_tokens": 5.0}],
)
def test_null_is_as_good_as_absent(members: Json) -> None:
    assert parsed({**ASKED, **members}).body == {**ASKED, **members}


@pytest.mark.parametrize(
    ("face", "body", "param"),
    [
        ("completions", {"model": "m"}, "prompt"),
        ("completions", {"model": "m", "prompt": {"a": 1}}, "prompt"),
        ("embeddings", {"model": "m"}, "input"),
        ("embeddings", {"model": "m", "input": []}, "input"),
        ("embeddings", {"model": "m", "input": ""}, "input"),
    ],
)
def test_each_face_wants_its_own(face: Face, body: Json, param: str) -> None:
    assert refused(body, face)[0] == param


def test_a_text_completion_may_ask_for_so_many_logprobs() -> None:
    assert parsed({"model": "m", "prompt": "Hi", "logprobs": 5}, "completions").body["logprobs"] == 5


@given(st.one_of(st.binary(max_size=30), VALUES.map(lambda value: json.dumps(value).encode()), WRITTEN))
@example(b'{"model":1,"model":{"model":2}}')
@lean
def test_any_bytes_are_a_question_or_a_mistake_of_the_clients(raw: bytes) -> None:
    for parse in PARSERS.values():
        with suppress(BadRequest):
            assert parse(raw, Trace()).raw == raw


def test_a_body_is_an_object() -> None:
    assert parse_body(b' {"a": 1} ') == {"a": 1}
