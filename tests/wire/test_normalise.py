"""What every client is promised of a stream of chunks, whatever the provider made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.chat import Json
from llmproxy.core.errors import Truncated, UpstreamError
from llmproxy.testing import Choice, Violation, check_stream, chunk, read_stream, sse
from llmproxy.wire.relay import Relay
from tests.core.kit import chat, chunks_in, run
from tests.thorough import examples

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
STOP = chunk({}, finish="stop")
HELLO = chunk({"content": "Hello"})


def streamed(*chunks: Json, done: bool = True, **asked: Any) -> bytes:
    """The client's stream, which must be as OpenAI's are."""
    out, failure = run(Relay(chat(**asked)), [sse(*chunks, done=done)])
    if failure is not None:
        raise failure
    include_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
    found = check_stream(out, include_usage=include_usage, usage=b'"prompt_tokens"' in out)
    assert [one for one in found if not theirs(one)] == []
    return out


def theirs(one: Violation) -> bool:
    """What no gateway can put right: a choice that never comes, a function without a name."""
    return "expected dense ones" in one.what or one.where.endswith("function.name")


def said(*chunks: Json, **asked: Any) -> Choice:
    return read_stream(streamed(*chunks, **asked)).first


def called(*pieces: Any) -> list[tuple[str, str, str]]:
    """(id, name, arguments) of each call in an answer whose chunks have these `tool_calls`."""
    answer = said(*(chunk({"tool_calls": [piece]}) for piece in pieces), STOP)
    return [(call.id, call.name, call.arguments) for call in answer.tool_calls]


def call(arguments: Any = "", **members: Any) -> Json:
    return {**members, "function": {"name": "look", "arguments": arguments}}


def more(arguments: Any, **members: Any) -> Json:
    return {**members, "function": {"arguments": arguments}}


# Roles


@pytest.mark.parametrize(
    "deltas",
    [
        [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}],
        [{"content": "a"}, {"content": "b"}],
        [{"role": "assistant"}, {"content": "ab"}],
        [{"role": None, "content": "ab"}],
        [{"role": "model", "content": "ab"}],
        [{}, {"content": "ab"}],
    ],
)
def test_the_role_comes_once_and_first(deltas: list[Json]) -> None:
    out = chunks_in(streamed(*map(chunk, deltas), STOP))
    roles = [one["choices"][0]["delta"].get("role") for one in out if one["choices"][0]["delta"]]
    assert roles == ["assistant", *[None] * (len(roles) - 1)]


def test_each_choice_has_its_own_role() -> None:
    out = chunks_in(streamed(HELLO, chunk({"content": "b"}, index=1), STOP, chunk({}, finish="stop", index=1)))
    assert [one["choices"][0]["delta"].get("role") for one in out[:2]] == ["assistant", "assistant"]


# Finishes


def finishes(*chunks: Json) -> list[str | None]:
    return [one["choices"][0]["finish_reason"] for one in chunks_in(streamed(*chunks))]


def test_a_finish_is_held_until_the_answer_is_over() -> None:
    early = [chunk({"content": "a"}, finish="stop"), chunk({"content": "b"}, finish="stop"), STOP]
    assert finishes(*early) == [None, None, "stop"]
    assert said(*early).text == "ab"


def test_the_last_of_several_finishes_counts() -> None:
    assert finishes(HELLO, STOP, chunk({}, finish="length")) == [None, "length"]


def test_an_empty_finish_is_none() -> None:
    assert finishes(chunk({"content": "a"}, finish=""), HELLO, STOP) == [None, None, "stop"]


def test_a_finish_that_openai_does_not_know_is_stop_and_kept_beside() -> None:
    choice = said(HELLO, chunk({}, finish="eos_token"))
    assert (choice.finish, choice.extras) == ("stop", {"native_finish_reason": "eos_token"})


def test_a_native_finish_that_the_provider_told_itself_is_kept() -> None:
    last = chunk({}, finish="odd")
    last["choices"][0]["native_finish_reason"] = "STOP"
    assert said(HELLO, last).extras == {"native_finish_reason": "STOP"}


@pytest.mark.parametrize("claimed", ["stop", "function_call", "tool_calls", ""])
def test_an_answer_with_tool_calls_ends_with_tool_calls(claimed: str) -> None:
    assert said(chunk({"tool_calls": [call(index=0, id="a")]}), chunk({}, finish=claimed)).finish == "tool_calls"


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_tool_call_that_was_cut_short_says_so(reason: str) -> None:
    assert said(chunk({"tool_calls": [call(index=0, id="a")]}), chunk({}, finish=reason)).finish == reason


def test_the_old_function_call_ends_with_function_call() -> None:
    assert said(chunk({"function_call": {"name": "f", "arguments": "{}"}}), STOP).finish == "function_call"


def test_a_done_without_a_finish_is_an_end() -> None:
    assert said(HELLO).finish == "stop"


@pytest.mark.parametrize("chunks", [[HELLO], [], [HELLO, chunk({"content": "b"}, index=1), STOP]])
def test_neither_a_finish_of_every_choice_nor_a_done_is_truncated(chunks: list[Json]) -> None:
    with pytest.raises(Truncated):
        streamed(*chunks, done=False)


def test_a_done_without_any_choice_is_truncated() -> None:
    with pytest.raises(Truncated):
        streamed()


def test_every_choice_has_its_own_finish_in_order() -> None:
    out = chunks_in(
        streamed(chunk({"content": "b"}, index=1), HELLO, chunk({}, finish="length", index=1), chunk({}, finish="stop"))
    )
    last = [one["choices"][0] for one in out[-2:]]
    assert [(one["index"], one["finish_reason"]) for one in last] == [(0, "stop"), (1, "length")]


def test_logprobs_stay_whatever_the_provider_says_of_the_finish() -> None:
    def token(text: str) -> Json:
        one = {"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": []}
        made = chunk({"content": text}, finish="stop")
        made["choices"][0]["logprobs"] = {"content": [one], "refusal": None}
        return made

    assert [one["token"] for one in said(token("a"), token("b")).logprobs] == ["a", "b"]


# Usage


@pytest.mark.parametrize(
    "chunks",
    [
        [HELLO, STOP, chunk(usage=USAGE)],
        [HELLO, {**STOP, "usage": USAGE}],
        [{**HELLO, "usage": {**USAGE, "completion_tokens": 1, "total_tokens": 4}}, {**STOP, "usage": USAGE}],
        [HELLO, STOP, chunk(usage=USAGE), chunk(usage=USAGE)],
        [{**HELLO, "usage": None}, {**STOP, "usage": None}, chunk(usage=USAGE)],
    ],
)
def test_usage_comes_once_last_and_only_if_asked_for(chunks: list[Json]) -> None:
    asked = chunks_in(streamed(*chunks, stream_options={"include_usage": True}))
    assert (asked[-1]["choices"], asked[-1]["usage"]) == ([], USAGE)
    assert [one for one in asked[:-1] if one.get("usage")] == []
    assert b'"prompt_tokens"' not in streamed(*chunks)


def test_usage_that_the_provider_did_not_tell_is_absent() -> None:
    assert b"prompt_tokens" not in streamed(HELLO, STOP, stream_options={"include_usage": True})


def test_the_gateway_knows_usage_that_the_client_is_not_told() -> None:
    relay = Relay(chat())
    run(relay, [sse(HELLO, STOP, chunk(usage={**USAGE, "cost": 0.5, "prompt_tokens_details": {"cached_tokens": 2}}))])
    usage = relay.usage
    assert usage is not None
    assert (usage.prompt, usage.completion, usage.cost, usage.cached) == (3, 2, 0.5, 2)


# The envelope


def test_one_id_one_created_one_model() -> None:
    other: Any = {"id": "other", "created": 5, "model": "other", "object": "other"}
    out = chunks_in(streamed(HELLO, {**HELLO, **other}, {**STOP, **other}, chunk(usage=USAGE, **other)))
    heads = {(one["id"], one["created"], one["model"], one["object"]) for one in out}
    assert heads == {("chatcmpl-fake", 1700000000, "fake-model", "chat.completion.chunk")}


@pytest.mark.parametrize("created", [1700000000.0, 1700000000.25])
def test_a_time_is_a_whole_number_of_seconds(created: float) -> None:
    times = [one["created"] for one in chunks_in(streamed({**HELLO, "created": created}, {**STOP, "created": created}))]
    assert set(map(repr, times)) == {"1700000000"}


@pytest.mark.parametrize("created", [1e20, -5, "1700000000", True, [], 0, None])
def test_what_is_no_time_becomes_the_requests_own(created: Any) -> None:
    times = [one["created"] for one in chunks_in(streamed({**HELLO, "created": created}, {**STOP, "created": created}))]
    assert set(times) == {1700000000}


def test_what_the_provider_leaves_out_is_said_by_the_gateway() -> None:
    first, *_ = chunks_in(
        streamed({"choices": [{"delta": {"content": "a"}}]}, {"choices": [{"finish_reason": "stop"}]})
    )
    assert (first["id"], first["created"], first["model"]) == ("chatcmpl-req", 1700000000, "asked-model")


def test_azures_first_chunk_goes_out_with_the_second() -> None:
    first = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{"x": 1}]}
    out = chunks_in(streamed(first, HELLO, STOP))
    assert (out[0]["id"], out[0]["prompt_filter_results"]) == ("chatcmpl-fake", [{"x": 1}])
    assert sum("prompt_filter_results" in one for one in out) == 1


def test_members_of_the_providers_own_are_kept() -> None:
    timings, cited = {"timings": {"predicted_ms": 1}}, {"citations": ["https://a"]}
    last = {**STOP, **timings}
    last["choices"] = [{**STOP["choices"][0], "content_filter_results": {"hate": {}}}]
    answer = read_stream(streamed({**HELLO, **cited, "provider": "x"}, last))
    assert answer.extras == {**timings, **cited, "provider": "x"}
    assert answer.first.extras == {"content_filter_results": {"hate": {}}}


def test_members_beside_usage_are_kept_even_if_usage_is_not_asked_for() -> None:
    assert read_stream(streamed(HELLO, STOP, chunk(usage=USAGE, cost=0.1))).extras == {"cost": 0.1}


# Reasoning and content


@pytest.mark.parametrize(
    ("delta", "kept"),
    [
        ({"reasoning_content": "Hm."}, {}),
        ({"reasoning": "Hm."}, {}),
        ({"reasoning": "Hm.", "reasoning_content": "Hm."}, {}),
        ({"reasoning": None, "reasoning_content": "Hm."}, {}),
        (
            {"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
            {"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
        ),
        (
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "Hm."}]},
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "Hm."}]},
        ),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}, {}),
    ],
)
def test_reasoning_has_one_name_and_its_details_stay(delta: Json, kept: Json) -> None:
    choice = said(chunk(delta), HELLO, STOP)
    assert (choice.reasoning, choice.text, choice.extras) == ("Hm.", "Hello", kept)


def test_content_in_parts_is_one_text() -> None:
    parts = [
        {"type": "text", "text": "a"},
        "b",
        {"type": "reference", "reference_ids": [1]},
        {"type": "text", "text": "c"},
    ]
    assert said(chunk({"content": parts}), STOP).text == "abc"


# Tool calls


@pytest.mark.parametrize("index", [0, 1, 7])
def test_an_index_is_dense_whatever_the_provider_counts(index: int) -> None:
    assert called(call(index=index, id="a"), more("{}", index=index)) == [("a", "look", "{}")]


@pytest.mark.parametrize(
    "pieces",
    [
        [call("{}", index=0, id="a"), call("[]", index=0, id="b")],
        [call("{}", id="a"), call("[]", id="b")],
        [call("{", index=3, id="a"), call("[", index=5, id="b"), more("}", index=3), more("]", index=5)],
        [call("{", id="a"), more("}"), call("[", id="b"), more("]")],
        [call("{", index=0, id="a"), call("}", index=0, id="a"), call("[]", index=1, id="b")],
    ],
)
def test_calls_are_told_apart_by_index_and_id(pieces: list[Json]) -> None:
    ids = [(id, arguments) for id, _, arguments in called(*pieces)]
    assert ids == [("a", "{}"), ("b", "[]")]


@pytest.mark.parametrize("id", [{}, {"id": ""}, {"id": None}])
def test_a_missing_id_is_invented_once(id: Json) -> None:
    found = called(call("{", index=0, **id), more("}", index=0, **id))
    assert [(name, arguments) for _, name, arguments in found] == [("look", "{}")]
    assert found[0][0]


def test_an_id_that_comes_later_is_the_same_call() -> None:
    assert [arguments for _, _, arguments in called(call("{", index=0), more("}", index=0, id="late"))] == ["{}"]


def test_calls_without_anything_to_tell_them_by_are_told_by_their_names() -> None:
    assert [arguments for _, _, arguments in called(call('{"a":1}'), call('{"a":2}'))] == ['{"a":1}', '{"a":2}']


@pytest.mark.parametrize(("given_", "shown"), [(None, "{}"), ("", "{}"), ({"a": 1}, '{"a":1}'), ("{}", "{}")])
def test_arguments_are_text(given_: Any, shown: str) -> None:
    assert called(call(given_, index=0, id="a")) == [("a", "look", shown)]


def test_a_call_without_arguments_that_was_cut_off_gets_none() -> None:
    relay = Relay(chat())
    out, error = run(relay, [sse(chunk({"tool_calls": [call("", index=0, id="a")]}), done=False)])
    assert isinstance(error, Truncated)
    assert b"{}" not in out.replace(b'"delta":{}', b"")


def test_a_call_that_the_limit_cut_off_gets_none_either() -> None:
    answer = said(chunk({"tool_calls": [call("", index=0, id="a")]}), chunk({}, finish="length"))
    assert [one.arguments for one in answer.tool_calls] == [""]


def test_a_signature_stays_with_its_call() -> None:
    signature = {"google": {"thought_signature": "c2ln"}}
    out = chunks_in(streamed(chunk({"tool_calls": [call("{}", index=0, id="a", extra_content=signature)]}), STOP))
    assert out[0]["choices"][0]["delta"]["tool_calls"][0]["extra_content"] == signature


@pytest.mark.parametrize("empty", [None, []])
def test_a_list_of_no_calls_is_left_out(empty: Any) -> None:
    assert b"tool_calls" not in streamed(chunk({"content": "a", "tool_calls": empty}), STOP)


def test_choices_count_their_calls_apart() -> None:
    answer = read_stream(
        streamed(
            chunk({"tool_calls": [call("{}", index=0, id="a")]}),
            chunk({"tool_calls": [call("{}", index=0, id="b")]}, index=1),
            STOP,
            chunk({}, finish="stop", index=1),
        )
    )
    assert [[one.id for one in answer.choice(index).tool_calls] for index in (0, 1)] == [["a"], ["b"]]


# Errors inside the stream


@pytest.mark.parametrize(
    "broken",
    [
        {"error": {"message": "no", "code": 502}},
        {"error": "no"},
        {**HELLO, "error": {"message": "no"}},
        {"object": "error", "message": "no"},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"message": "no"}}]},
    ],
)
def test_an_error_in_any_dress_ends_the_answer(broken: Json) -> None:
    out, failure = run(Relay(chat()), [sse(HELLO, broken, STOP)])
    assert isinstance(failure, UpstreamError)
    assert failure.message == "no"
    assert read_stream(out).first.text == "Hello"
    assert b"[DONE]" not in out


# As a whole


def maybe(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional=members)


WORDS = st.sampled_from(["", "a", "Hm. ", "世🌍", "\u2028"])
PIECE = st.builds(
    lambda outer, function: {**outer, **({"function": function} if function is not None else {})},
    maybe(index=st.sampled_from([0, 1, 5, None]), id=st.sampled_from(["x", "y", "", None]), type=st.just("function")),
    st.one_of(
        st.none(),
        maybe(
            name=st.sampled_from(["f", "g", "", None]),
            arguments=st.sampled_from(["", "{}", '{"a"', ":1}", None, {"b": 1}]),
        ),
    ),
)
DELTA = maybe(
    role=st.sampled_from(["assistant", "model", "", None]),
    content=st.one_of(WORDS, st.none(), st.just([{"type": "text", "text": "part"}])),
    reasoning=st.one_of(WORDS, st.none()),
    reasoning_content=st.one_of(WORDS, st.none()),
    reasoning_details=st.sampled_from([[], [{"type": "reasoning.text", "text": "d", "index": 0}]]),
    refusal=st.one_of(st.none(), WORDS),
    tool_calls=st.one_of(st.none(), st.lists(PIECE, max_size=2)),
    vendor=st.just({"x": 1}),
)
CHOICE = maybe(
    index=st.sampled_from([0, 0, 0, 1]),
    delta=st.one_of(DELTA, DELTA, st.none()),
    finish_reason=st.sampled_from([None, None, None, "", "stop", "length", "tool_calls", "eos"]),
    logprobs=st.sampled_from(
        [None, {"content": [{"token": "t", "logprob": -1.0, "bytes": None, "top_logprobs": []}], "refusal": None}]
    ),
    native_finish_reason=st.sampled_from([None, "STOP"]),
)
CHUNK = maybe(
    id=st.sampled_from(["one", "two", "", None]),
    object=st.sampled_from(["chat.completion.chunk", "chat.completion", "", None]),
    created=st.sampled_from([1700000001, 1700000002.5, 0, None]),
    model=st.sampled_from(["m", "n", "", None]),
    choices=st.one_of(st.none(), st.lists(CHOICE, max_size=2)),
    usage=st.sampled_from([None, {}, USAGE, {**USAGE, "cost": 0.1}]),
    provider=st.sampled_from([None, "P"]),
    system_fingerprint=st.sampled_from([None, "fp"]),
)


@given(st.lists(CHUNK, min_size=1, max_size=6), st.booleans())
@examples(150)
def test_whatever_the_chunks_the_stream_is_openais_and_saying_it_again_changes_nothing(
    chunks: Sequence[Json], include_usage: bool
) -> None:
    asked: Json = {"stream_options": {"include_usage": True}} if include_usage else {}
    try:
        once = streamed(*chunks, **asked)
    except UpstreamError:
        return
    assert chunks_in(streamed(*chunks_in(once), **asked)) == chunks_in(once)


@given(st.lists(CHUNK, min_size=1, max_size=6))
@examples(150)
def test_no_text_is_lost(chunks: Sequence[Json]) -> None:
    try:
        got = read_stream(streamed(*chunks))
    except UpstreamError:
        return
    for index in (0, 1):
        parts = [
            (one.get("delta") or {}).get("content") or ""
            for each in chunks
            for one in each.get("choices") or ()
            if one.get("index", 0) == index
        ]
        assert got.choice(index).text == "".join("part" if isinstance(part, list) else part for part in parts)
