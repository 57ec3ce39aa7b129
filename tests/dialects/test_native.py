"""The native stream says everything the chunks said, once and in order."""

from __future__ import annotations

import base64
import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.errors import Malformed
from llmproxy.dialects.native.events import Event, Native

RECORDINGS = Path(os.environ.get("LLMPROXY_RECORDINGS", Path(__file__).parents[3] / "shared" / "recordings"))
DONE = b"data: [DONE]\n\n"


def frame(**members: Any) -> bytes:
    return b"data: " + orjson.dumps(members) + b"\n\n"


def delta(**members: Any) -> bytes:
    return frame(choices=[{"index": 0, "delta": members}])


def text(*pieces: str) -> bytes:
    return b"".join(delta(content=piece) for piece in pieces)


def test_text_becomes_tokens_and_the_response() -> None:
    native = Native()
    assert native.feed(text("Hel")) == [("token", {"t": "Hel"})]
    assert native.feed(text("lo")) == [("token", {"t": "lo"})]
    assert native.response == "Hello"


def test_neighbouring_tokens_of_one_block_are_one_event() -> None:
    assert Native().feed(text("a", "b", "c") + DONE) == [("token", {"t": "abc"})]


def test_order_between_kinds_is_kept() -> None:
    block = delta(reasoning_content="hm") + text("a", "b") + delta(reasoning="so", reasoning_content="so") + text("c")
    names = [(name, data["t"]) for name, data in Native().feed(block)]
    assert names == [("reasoning", "hm"), ("token", "ab"), ("reasoning", "so"), ("token", "c")]


def test_tool_calls_are_given_in_pieces_and_kept_whole() -> None:
    native = Native()
    first = {"index": 0, "id": "c1", "function": {"name": "look", "arguments": '{"a"'}}
    events = native.feed(delta(tool_calls=[first]) + delta(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}]))
    assert events == [
        ("tool_call", {"index": 0, "arguments": '{"a"', "id": "c1", "name": "look"}),
        ("tool_call", {"index": 0, "arguments": ":1}"}),
    ]
    assert native.tool_calls == [{"index": 0, "id": "c1", "name": "look", "arguments": '{"a":1}'}]


def test_an_annotation_is_a_citation_with_its_place() -> None:
    cited = {"url": "https://a.example", "title": "A", "start_index": 2, "end_index": 5}
    events = Native().feed(delta(annotations=[{"type": "url_citation", "url_citation": cited}]))
    assert events == [("citation", {"index": 1, "url": "https://a.example", "title": "A", "start": 2, "end": 5})]


def test_a_source_said_with_every_chunk_and_in_two_ways_comes_once() -> None:
    native = Native()
    both = {"citations": ["https://a", "https://b"], "search_results": [{"url": "https://b", "title": "B"}]}
    events = native.feed(frame(choices=[], **both) + frame(choices=[], **both))
    assert [(data["index"], data["url"], data["title"]) for _, data in events] == [
        (1, "https://a", None),
        (2, "https://b", "B"),
    ]


def test_a_title_that_comes_later_is_kept() -> None:
    native = Native()
    native.feed(frame(choices=[], citations=["https://a"]))
    native.feed(frame(choices=[], search_results=[{"url": "https://a", "title": "A"}]))
    assert [one["title"] for one in native.citations] == ["A"]


def test_usage_and_finish_are_remembered() -> None:
    native = Native()
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "cost": 0.5}
    events = native.feed(frame(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=None))
    events += native.feed(frame(choices=[], usage=usage) + DONE)
    assert events == [("usage", usage)]
    assert (native.finish_reason, native.usage) == ("stop", usage)


def test_a_refusal_is_shown() -> None:
    assert Native().feed(delta(refusal="I can't.")) == [("token", {"t": "I can't."})]


def test_other_choices_are_not_mixed_in() -> None:
    assert Native().feed(frame(choices=[{"index": 1, "delta": {"content": "other"}}])) == []


@pytest.mark.parametrize(
    "odd", [{"choices": None}, {"choices": [None, {"delta": None}]}, {"choices": [{"delta": {"content": 7}}]}]
)
def test_odd_chunks_say_nothing(odd: dict[str, Any]) -> None:
    assert Native().feed(frame(**odd)) == []


def test_going_on_begins_with_what_was_there() -> None:
    native = Native(before="Once ")
    native.feed(text("upon"))
    assert native.response == "Once upon"


def test_a_chunk_that_is_no_json_is_the_providers_fault() -> None:
    with pytest.raises(Malformed):
        Native().feed(b"data: {oops\n\n")


def test_comments_and_other_line_ends_change_nothing() -> None:
    assert Native().feed(b": hello\n\n" + text("a").replace(b"\n", b"\r\n")) == [("token", {"t": "a"})]


@given(pieces=st.lists(st.text(min_size=1), max_size=20), cuts=st.lists(st.integers(0, 20), max_size=5))
def test_tokens_joined_are_the_response_however_it_came(pieces: list[str], cuts: list[int]) -> None:
    native = Native()
    edges = sorted({0, len(pieces), *(cut for cut in cuts if cut <= len(pieces))})
    events: list[Event] = []
    for start, end in pairwise(edges):
        events += native.feed(text(*pieces[start:end]))
    assert "".join(data["t"] for _, data in events) == native.response == "".join(pieces)


@pytest.mark.skipif(not RECORDINGS.exists(), reason="no recordings here")
@pytest.mark.parametrize("provider", ["openai", "openrouter", "perplexity"])
def test_recorded_streams_lose_no_text(provider: str) -> None:
    for path in sorted((RECORDINGS / provider).glob("chat-stream-*.json")):
        native, said = Native(), ""
        body = base64.b64decode(json.loads(path.read_bytes())["response"]["body_b64"])
        native.feed(body)
        for line in body.splitlines():
            if line.startswith(b"data: {"):
                for choice in orjson.loads(line[6:]).get("choices") or ():
                    piece = choice.get("delta") or {}
                    said += (piece.get("content") or piece.get("refusal") or "") if choice.get("index", 0) == 0 else ""
        assert native.response == said, path.name
        assert len({(one["index"], one["start"]) for one in native.citations}) == len(native.citations), path.name
