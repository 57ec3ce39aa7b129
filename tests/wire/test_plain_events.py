"""The pass-through: exactly the bytes that came for what was checked, and nothing that was not checked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from llmproxy.core.chat import Json
from llmproxy.core.errors import UpstreamError
from llmproxy.wire.plain_events import Shape
from llmproxy.wire.relay import Relay
from llmproxy.wire.sse import DONE
from tests.core.kit import CUTS, TRICKY, chat, chunks_in, lean, pieces, run, said_in, thorough
from tests.thorough import examples


@dataclass(frozen=True)
class Kind:
    """How a provider writes its events."""

    key: str = "content"
    padded: bool = False
    usage: bool = False
    ascii: bool = False
    spaced: bool = False  # as Python's json writes by default

    def event(self, text: str, padding: str = "aB3") -> bytes:
        return self.write({self.key: text}, None, padding)

    def write(self, delta: Json, finish: str | None = None, padding: str = "aB3") -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}
        chunk: Json = {**head, "choices": [choice], **({"usage": None} if self.usage else {})}
        if self.padded:
            chunk["obfuscation"] = padding
        separators = (", ", ": ") if self.spaced else (",", ":")
        return b"data: " + json.dumps(chunk, ensure_ascii=self.ascii, separators=separators).encode() + b"\n\n"

    @property
    def begin(self) -> bytes:
        return self.write({"role": "assistant", "content": ""}) + self.event("first")

    @property
    def end(self) -> bytes:
        return self.write({}, "stop") + DONE


KINDS = st.builds(
    Kind, st.sampled_from(["content", "reasoning_content"]), st.booleans(), st.booleans(), st.booleans(), st.booleans()
)
TEXTS = st.lists(TRICKY, min_size=1, max_size=5)


class Same:
    """A provider's step that has nothing to do: its being there is enough to have every event parsed."""

    def feed(self, chunk: Json) -> Iterable[Json]:
        return (chunk,)

    def finish(self) -> Iterable[Json]:
        return ()


def fast(parts: Iterable[bytes]) -> tuple[bytes, UpstreamError | None]:
    return run(Relay(chat()), parts)


def slow(parts: Iterable[bytes]) -> tuple[bytes, UpstreamError | None]:
    return run(Relay(chat(), Same()), parts)


@given(KINDS, TEXTS, CUTS)
@example(Kind(), ['"}}],"finish_reason":"stop"}\n\ndata: [DONE]'], [])
@thorough
def test_plain_events_leave_as_the_bytes_that_came(kind: Kind, texts: list[str], cuts: list[int]) -> None:
    block = b"".join(map(kind.event, texts))
    out, failure = fast([kind.begin, *pieces(block, cuts), kind.end])
    assert failure is None
    assert block in out
    assert out.startswith(kind.begin)


@given(KINDS, TEXTS, CUTS)
@lean
def test_text_is_counted_as_if_every_event_had_been_parsed(kind: Kind, texts: list[str], cuts: list[int]) -> None:
    block = b"".join(map(kind.event, texts))
    relay = Relay(chat())
    run(relay, [kind.begin, *pieces(block, cuts), kind.end])
    written = sum(len(json.dumps(text, ensure_ascii=kind.ascii).encode()) - 2 for text in ["first", *texts])
    assert len("".join(["first", *texts])) <= relay.produced <= written


@st.composite
def damaged(draw: st.DrawFn) -> tuple[Kind, bytes]:
    """A block of plain events in which one byte is another one, or missing, or one too many."""
    kind = draw(KINDS)
    block = b"".join(map(kind.event, draw(TEXTS)))
    at = draw(st.integers(0, len(block) - 1))
    byte = draw(
        st.one_of(
            st.integers(0, 255).map(lambda one: bytes([one])),
            st.sampled_from([b"", b'"', b"\\", b"\n", b"\r", b"\r\n", b",", b"}", b"\x00", b"\x01"]),
        )
    )
    return kind, block[:at] + byte + block[at + draw(st.integers(0, 1)) :]


def plainly(stream: bytes) -> tuple[dict[int, str], bool]:
    """The texts of the choices, read event by event with Python's json, and whether all of them could be read.

    Control characters inside of strings are taken as they are; commas around an event are ignored.
    """
    texts: dict[int, str] = {}
    for data in said_in(stream):
        if data.strip() == b"[DONE]":
            return texts, True
        if not data.strip():
            continue
        try:
            chunk = json.loads(data.decode("utf-8", "replace").strip(" \t,"), strict=False)
        except ValueError:
            return texts, False
        if not isinstance(chunk, dict):
            return texts, False
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            text = delta.get("content") or delta.get("reasoning_content") or ""
            index = choice.get("index", 0)
            texts[index] = texts.get(index, "") + _whole(text)
    return texts, False


def _whole(text: str) -> str:
    """The text with halves of surrogate pairs replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@given(damaged(), CUTS)
@examples(200)
def test_whatever_passes_is_valid_and_what_a_plain_reading_says(case: tuple[Kind, bytes], cuts: list[int]) -> None:
    kind, block = case
    assume(
        all(re.fullmatch(rb"data:[^\r\n]*", one) for one in block.split(b"\n\n") if one)
    )  # odd lines have tests of their own
    out, failure = fast([kind.begin, *pieces(block, cuts), kind.end])
    expected, whole = plainly(kind.begin + block + kind.end)
    got, _ = plainly(out + DONE)
    chunks_in(out)  # each of them strictly valid
    assert {index: text for index, text in got.items() if text} == {i: text for i, text in expected.items() if text}
    assert (failure is None) == whole


@given(damaged(), CUTS)
@examples(200)
def test_it_passes_what_the_parser_would_have_passed(case: tuple[Kind, bytes], cuts: list[int]) -> None:
    kind, block = case
    parts = [kind.begin, *pieces(block, cuts), kind.end]
    (quick, why), (careful, why_careful) = fast(parts), slow(parts)
    assert chunks_in(quick) == chunks_in(careful)
    assert type(why) is type(why_careful)


NOT_PLAIN: dict[str, Any] = {
    "another id": {"id": "chatcmpl-2"},
    "usage": {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}},
    "a role": {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "x"}, "finish_reason": None}]},
    "a finish": {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]},
    "an error": {"error": {"message": "it broke"}},
    "a choice's error": {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "error"}]},
    "a tool call": {"choices": [{"index": 0, "delta": {"tool_calls": [{"id": "a", "function": {"name": "f"}}]}}]},
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_an_event_that_is_not_plain_is_looked_at_wherever_it_stands(name: str) -> None:
    kind = Kind()
    odd = {**json.loads(kind.event("x")[6:]), **NOT_PLAIN[name]}
    block = kind.event("a") + b"data: " + json.dumps(odd, separators=(",", ":")).encode() + b"\n\n" + kind.event("b")
    parts = [kind.begin, block, kind.end]
    assert chunks_in(fast(parts)[0]) == chunks_in(slow(parts)[0])
    assert type(fast(parts)[1]) is type(slow(parts)[1])


@pytest.mark.parametrize("break_", [b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\n\n\n"])
def test_other_line_ends_and_blank_lines_go_out_as_ours(break_: bytes) -> None:
    kind = Kind()
    block = kind.event("a")[:-2] + break_ + kind.event("b")
    out, failure = fast([kind.begin, block, kind.end])
    assert failure is None
    assert out.startswith(kind.begin + kind.event("a") + kind.event("b"))


def test_comments_between_plain_events_are_not_passed() -> None:
    kind = Kind()
    out, _ = fast([kind.begin, kind.event("a") + b": busy\n\n" + kind.event("b"), kind.end])
    assert out.startswith(kind.begin + kind.event("a") + kind.event("b"))


def test_a_cut_inside_an_event_is_truncated_and_none_of_it_passes() -> None:
    kind = Kind()
    for cut in range(1, len(kind.event("last")) - 2):
        out, failure = fast([kind.begin, kind.event("a"), kind.event("last")[:cut]])
        assert out == kind.begin + kind.event("a")
        assert failure is not None
        assert failure.code == "upstream_truncated"


SURROGATES = [rb"\ud83d", rb"\ude00", rb"\ude00\ud83d", rb"\ud83d\ud83d", rb"\uD83Dx"]


@pytest.mark.parametrize("half", SURROGATES)
@pytest.mark.parametrize("alone", [True, False])
def test_half_a_surrogate_pair_is_replaced(half: bytes, alone: bool) -> None:
    kind = Kind()
    event = kind.event("X").replace(b"X", half)
    out, failure = fast([kind.begin, event, kind.end] if alone else [kind.begin + event + kind.end])
    assert failure is None
    text = "".join(one["choices"][0]["delta"].get("content", "") for one in chunks_in(out))
    assert text.startswith("first\ufffd")
    text.encode()  # no half is left


@given(st.lists(st.characters(min_codepoint=0x10000), min_size=1, max_size=4).map("".join))
@lean
def test_whole_surrogate_pairs_leave_as_they_came(text: str) -> None:
    kind = Kind(ascii=True)
    assert kind.event(text) in fast([kind.begin, kind.event(text), kind.end])[0]


# The shape itself


@given(KINDS, TRICKY, TEXTS)
@thorough
def test_a_shape_that_was_learned_fits_all_events_of_its_stream(kind: Kind, first: str, texts: list[str]) -> None:
    shape = Shape.learn(kind.event(first)[6:-2], kind.key)
    if kind.spaced:
        assert shape is None or shape.text_in(kind.event("a")) < 0
        return
    assert shape is not None
    assert shape.text_in(b"".join(map(kind.event, texts))) >= 0


def test_before_and_after_do_not_overlap() -> None:
    shape = Shape(b'data: {"a":"', b"", b'"}')
    assert shape.text_in(b'data: {"a":""}\n\n') == 0
    assert Shape(b'data: "a"', b"", b'"a"').text_in(b'data: "a"\n\n') == -1


@given(st.binary(max_size=30), TEXTS)
@lean
def test_bytes_between_events_break_the_shape(between: bytes, texts: list[str]) -> None:
    assume(between)
    kind = Kind()
    shape = Shape.learn(kind.event("x")[6:-2], kind.key)
    assert shape is not None
    event = kind.event(texts[0])
    assert shape.text_in(event + between + event) == -1
