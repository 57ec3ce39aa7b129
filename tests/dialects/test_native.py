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


PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    "given",
    [
        {"images": [{"type": "image_url", "image_url": {"url": PIXEL}}]},
        {"images": [{"image_url": PIXEL}]},
        {"images": [{"url": PIXEL}]},
        {"images": [PIXEL]},
        {"images": [{"b64_json": "iVBORw0KGgo="}]},
        {"content": [{"type": "image_url", "image_url": {"url": PIXEL}}]},
    ],
)
def test_a_generated_image_is_an_event_and_a_part_in_any_form(given: dict[str, Any]) -> None:
    native = Native()
    assert native.feed(delta(**given) + delta(**given)) == [("image", {"url": PIXEL})]
    assert native.parts == [{"type": "image", "url": PIXEL}]


def test_the_parts_of_an_answer_keep_their_order() -> None:
    native = Native("before ")
    call = {"index": 0, "id": "c", "function": {"name": "look", "arguments": "{}"}}
    native.feed(
        text("one") + delta(reasoning="hm") + delta(images=[PIXEL]) + delta(tool_calls=[call]) + text("t", "wo")
    )
    assert native.parts == [
        {"type": "text", "text": "before one"},
        {"type": "reasoning", "text": "hm"},
        {"type": "image", "url": PIXEL},
        {"type": "tool_call", "index": 0},
        {"type": "text", "text": "two"},
    ]
    assert native.response == "before onetwo"


def test_a_plain_answer_needs_no_parts() -> None:
    native = Native()
    native.feed(delta(reasoning="hm") + text("so"))
    assert native.parts == []


def test_the_text_of_a_content_in_parts_is_said() -> None:
    assert Native().feed(delta(content=[{"type": "text", "text": "Hi"}])) == [("token", {"t": "Hi"})]


def test_sound_comes_in_pieces_and_is_one_part_with_its_words() -> None:
    native = Native()
    events = native.feed(
        delta(audio={"id": "a", "data": base64.b64encode(b"RIFF1").decode(), "transcript": "Good "})
        + delta(audio={"data": base64.b64encode(b"234").decode().rstrip("=")})
        + delta(audio={"transcript": "day", "expires_at": 1})
    )
    assert [name for name, _ in events] == ["audio"] * 3
    audio = {"type": "audio", "data": base64.b64encode(b"RIFF1234").decode(), "transcript": "Good day"}
    assert native.parts == [audio]


def test_images_and_sounds_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmproxy.dialects.native.parts.MEDIA_BYTES", 40)
    native = Native()
    large = "data:image/png;base64," + "A" * 40
    events = native.feed(delta(images=[large, PIXEL]) + delta(audio={"data": "AAAA" * 20, "transcript": "words"}))
    assert events == [
        ("image", {"omitted": len(large)}),
        ("image", {"url": PIXEL}),
        ("audio", {"data": "", "transcript": "words"}),
    ]
    assert [part.get("omitted") for part in native.parts] == [len(large), None, 60]


@pytest.mark.parametrize("wrong", [None, 1, {}, [1, None, {"image_url": 3}], [{"image_url": {"url": 1}}], "text"])
def test_images_of_a_wrong_form_are_none(wrong: Any) -> None:
    assert Native().feed(delta(images=wrong)) == []
