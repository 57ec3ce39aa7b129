"""A stream accumulated is the answer that the provider would have given as one JSON, and the other way round."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.chat import Json
from llmproxy.core.errors import Truncated, UpstreamError
from llmproxy.testing import check_chat, chunk, completion, read_stream, sse
from llmproxy.wire.blocks import Blocks
from llmproxy.wire.chat_accumulator import Accumulator, as_chunks
from llmproxy.wire.provider_errors import in_band
from llmproxy.wire.relay import Relay
from llmproxy.wire.whole_answer import WholeAnswer
from tests.core.kit import CUTS, TEXT, chat, chunks_in, lean, pieces, run

USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}


def accumulated(chunks: Any) -> Json:
    accumulator = Accumulator()
    for one in chunks:
        accumulator.add(one)
    return accumulator.result()


def maybe(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional=members)


SAID = TEXT.filter(bool)
TOKEN = st.builds(lambda text: {"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": []}, TEXT)
CALL = st.builds(
    lambda id, name, arguments, extra: {
        "id": id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
        **extra,
    },
    SAID,
    SAID,
    TEXT,
    maybe(extra_content=st.just({"google": {"thought_signature": "c2ln"}})),
)
CALLS = st.lists(CALL, min_size=1, max_size=3, unique_by=lambda one: str(one["id"]))
CITATION = st.builds(
    lambda url: {"type": "url_citation", "url_citation": {"url": url, "title": "t", "start_index": 0, "end_index": 1}},
    TEXT,
)
DETAIL = st.builds(
    lambda index, text: {"type": "reasoning.text", "text": text, "index": index, "signature": None},
    st.integers(0, 2),
    SAID,
)


def _indexed(details: list[Json]) -> list[Json]:
    return [{**one, "index": index} for index, one in enumerate(details)]


MESSAGE = st.builds(
    lambda core, extra: {"role": "assistant", **core, **extra},
    st.one_of(
        st.fixed_dictionaries({"content": TEXT, "refusal": st.none()}),
        st.fixed_dictionaries({"content": st.none(), "refusal": SAID}),
        st.fixed_dictionaries({"content": st.one_of(st.none(), SAID), "refusal": st.none(), "tool_calls": CALLS}),
    ),
    maybe(
        reasoning_content=SAID,
        reasoning=SAID,
        reasoning_details=st.lists(DETAIL, min_size=1, max_size=3).map(_indexed),
        annotations=st.lists(CITATION, max_size=2),
        images=st.just([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]),
        audio=st.fixed_dictionaries(
            {"id": st.just("audio_1"), "data": TEXT, "transcript": TEXT, "expires_at": st.just(1)}
        ),
        function_call=st.fixed_dictionaries({"name": SAID, "arguments": TEXT}),
        vendor=st.just({"x": [1]}),
    ),
)
CHOICE = st.builds(
    lambda message, finish, logprobs, extra: {
        "message": message,
        "finish_reason": finish,
        "logprobs": logprobs,
        **extra,
    },
    MESSAGE,
    st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
    st.one_of(st.none(), st.fixed_dictionaries({"content": st.lists(TOKEN, max_size=3), "refusal": st.none()})),
    maybe(content_filter_results=st.just({"hate": {"filtered": False}}), native_finish_reason=st.just("STOP")),
)
COMPLETION = st.builds(
    lambda choices, extra: {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "m",
        "choices": [{"index": index, **one} for index, one in enumerate(choices)],
        **extra,
    },
    st.lists(CHOICE, min_size=1, max_size=3),
    maybe(
        usage=st.just({**USAGE, "cost": 0.1}),
        service_tier=st.just("default"),
        system_fingerprint=st.none(),
        citations=st.just(["https://a"]),
        timings=st.just({"predicted_ms": 1.5}),
    ),
)


@given(COMPLETION)
@lean
def test_an_answer_unfolded_and_folded_is_the_answer(whole: Json) -> None:
    assert accumulated(as_chunks(whole)) == whole


@given(COMPLETION)
@lean
def test_neither_way_changes_what_it_was_given(whole: Json) -> None:
    before = copy.deepcopy(whole)
    opened = list(as_chunks(whole))
    kept = copy.deepcopy(opened)
    accumulated(opened)
    assert (whole, opened) == (before, kept)


def split(text: str, cuts: list[int]) -> Iterator[str]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    yield from (text[start:end] for start, end in pairwise(places))


def dripped(whole: Json, cuts: list[int]) -> Iterator[Json]:
    """The answer as a provider streams it: strings in pieces, lists item by item, the finish at the end, usage by itself."""
    head = {**{k: v for k, v in whole.items() if k not in ("choices", "usage")}, "object": "chat.completion.chunk"}
    for choice in whole["choices"]:

        def said(delta: Json, of: Json = choice, **members: Any) -> Json:
            return {**head, "choices": [{"index": of["index"], "delta": delta, "finish_reason": None, **members}]}

        message = choice["message"]
        yield said({"role": "assistant", "content": message["content"] if message["content"] == "" else None})
        for key in ("content", "refusal", "reasoning_content", "reasoning"):
            yield from (said({key: piece}) for piece in split(message.get(key) or "", cuts))
        for number, call in enumerate(message.get("tool_calls") or ()):
            function = call["function"]
            yield said({"tool_calls": [{**call, "index": number, "function": {**function, "arguments": ""}}]})
            for piece in split(function["arguments"], cuts):
                yield said({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
        for key in ("annotations", "images", "reasoning_details"):
            if key in message:
                yield said({key: []})
                yield from (said({key: [one]}) for one in message[key])
        if (audio := message.get("audio")) is not None:
            yield said({"audio": {"id": audio["id"], "data": "", "transcript": ""}})
            yield from (said({"audio": {"data": piece}}) for piece in split(audio["data"], cuts))
            yield from (said({"audio": {"transcript": piece}}) for piece in split(audio["transcript"], cuts))
            yield said({"audio": {"expires_at": audio["expires_at"]}})
        if (function := message.get("function_call")) is not None:
            yield said({"function_call": {"name": function["name"], "arguments": ""}})
            yield from (said({"function_call": {"arguments": piece}}) for piece in split(function["arguments"], cuts))
        if "vendor" in message:
            yield said({"vendor": message["vendor"]})
        if (logprobs := choice["logprobs"]) is not None:
            yield said({}, logprobs={"content": [], "refusal": None})
            yield from (said({}, logprobs={"content": [one], "refusal": None}) for one in logprobs["content"])
        extras = {k: v for k, v in choice.items() if k not in ("index", "message", "logprobs")}
        yield said({}, **extras)
    if "usage" in whole:
        yield {**head, "choices": [], "usage": whole["usage"]}


@given(COMPLETION, CUTS)
@lean
def test_an_answer_that_comes_in_pieces_is_the_same_answer(whole: Json, cuts: list[int]) -> None:
    assert accumulated(dripped(whole, cuts)) == whole


def test_choices_that_come_interleaved_are_put_in_order() -> None:
    parts = [chunk({"content": "b"}, index=1), chunk({"content": "a"}), chunk({"content": "B"}, index=1)]
    answer = accumulated(parts)
    assert [(one["index"], one["message"]["content"]) for one in answer["choices"]] == [(0, "a"), (1, "bB")]


def test_the_text_of_one_thought_grows_and_its_signature_comes_last() -> None:
    details = [
        {"type": "reasoning.text", "text": "Let me ", "index": 0},
        {"type": "reasoning.text", "text": "see.", "index": 0},
        {"type": "reasoning.text", "signature": "c2ln", "index": 0},
        {"type": "reasoning.text", "text": "Now.", "index": 1},
        {"type": "reasoning.encrypted", "data": "aa", "index": 2},
        {"type": "reasoning.encrypted", "data": "bb", "index": 2},
    ]
    message = accumulated(chunk({"reasoning_details": [one]}) for one in details)["choices"][0]["message"]
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Let me see.", "index": 0, "signature": "c2ln"},
        *details[3:],
    ]


def test_without_usage_there_is_none() -> None:
    assert "usage" not in accumulated([chunk({"content": "a"}, finish="stop")])


# Through the translators


def whole_of(*parts: bytes, stream: bool = False) -> tuple[bytes, UpstreamError | None]:
    asked = chat(stream=stream)
    return run(Relay(asked) if stream else WholeAnswer(asked, in_band), parts)


@given(COMPLETION, CUTS)
@lean
def test_an_answer_that_is_openais_leaves_as_the_bytes_that_came(whole: Json, cuts: list[int]) -> None:
    clean = completion("Hello")
    extras = {key: value for key, value in whole.items() if key not in clean}
    body = orjson.dumps({**clean, **extras}, option=orjson.OPT_INDENT_2)
    assert whole_of(*pieces(body, cuts)) == (body, None)


@given(COMPLETION)
@lean
def test_any_whole_answer_is_openais_afterwards(whole: Json) -> None:
    out, failure = whole_of(orjson.dumps(whole))
    assert failure is None
    assert check_chat(out) == []


@given(COMPLETION)
@lean
def test_a_client_that_streams_gets_an_answer_that_came_whole(whole: Json) -> None:
    out, failure = whole_of(orjson.dumps(whole), stream=True)
    assert failure is None
    answer = read_stream(out)
    for choice in whole["choices"]:
        said = answer.choice(choice["index"])
        assert said.text == (choice["message"]["content"] or "")
        assert len(said.tool_calls) == len(choice["message"].get("tool_calls") or ())
    assert answer.done


def test_a_stream_is_folded_for_a_client_that_does_not_stream() -> None:
    stream = sse(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hello"}),
        chunk({}, finish="stop"),
        chunk(usage=USAGE),
    )
    out, failure = whole_of(stream)
    assert failure is None
    assert orjson.loads(out) == completion("Hello")


@pytest.mark.parametrize("end", [-1, -2, -20, 30])
def test_json_that_was_cut_is_no_answer(end: int) -> None:
    out, failure = whole_of(orjson.dumps(completion())[:end])
    assert (out, type(failure)) == (b"", Truncated)


@pytest.mark.parametrize(
    "body", [b"null", b"[]", b"{}", b'{"choices": []}', b'{"choices": null}', b'"text"', b"", b"<html>"]
)
@pytest.mark.parametrize("stream", [True, False])
def test_what_is_no_answer_is_a_failure(body: bytes, stream: bool) -> None:
    out, failure = whole_of(body, stream=stream)
    assert out == b""
    assert failure is not None


def test_an_error_under_status_200_is_that_error() -> None:
    _, failure = whole_of(orjson.dumps({"error": {"message": "no", "code": 429, "type": "x"}}))
    assert failure is not None
    assert (failure.status, failure.message, failure.type) == (429, "no", "x")


def test_an_array_of_events_is_a_stream() -> None:
    out, failure = whole_of(
        orjson.dumps([chunk({"content": "a"}), chunk({"content": "b"}, finish="stop")]), stream=True
    )
    assert failure is None
    assert read_stream(out).first.text == "ab"


def test_after_the_done_nothing_matters() -> None:
    out, failure = whole_of(
        sse(chunk({"content": "a"}, finish="stop")), b"<html>", b'data: {"error": 1}\n\n', stream=True
    )
    assert failure is None
    assert out.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    "done", [b"data:[DONE]\n\n", b"data: [DONE] \n\n", b"data: [DONE]", b"event: end\ndata: [DONE]\n\n"]
)
def test_a_done_is_recognised_by_its_word(done: bytes) -> None:
    out, failure = whole_of(sse(chunk({"content": "a"}), done=False) + done, stream=True)
    assert failure is None
    assert len(chunks_in(out)) == 2


class Counted(str):
    """A text that counts the characters that are copied when something is joined to it, or it to something."""

    copied = 0

    def __add__(self, after: str) -> str:
        Counted.copied += len(self)
        return str.__add__(self, after)

    def __radd__(self, before: str) -> str:
        Counted.copied += len(before)
        return str.__add__(before, self)


PIECE = Counted("a word ")
GROWING: dict[str, Json] = {
    "content": {"content": PIECE},
    "reasoning": {"reasoning_content": PIECE},
    "details": {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": PIECE}]},
    "arguments": {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"arguments": PIECE}}]},
    "transcript": {"audio": {"id": "a", "transcript": PIECE}},
}


@pytest.mark.parametrize("delta", GROWING.values(), ids=GROWING)
def test_a_text_is_not_copied_with_each_of_its_pieces(delta: Json) -> None:
    Counted.copied = 0
    whole = accumulated(chunk(delta) for _ in range(300))
    blocks = Blocks()
    for _ in range(300):
        list(blocks.feed(chunk({**delta, "reasoning_content": "x"})))
    assert PIECE * 300 in orjson.dumps(whole).decode()
    assert Counted.copied <= 300 * len(PIECE)
