"""Events out of bytes: the same ones however the bytes are cut, and those that the HTML standard says."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmproxy.core.errors import Malformed
from llmproxy.wire.sse import DONE, PING, Event, Events, event, frame
from tests.core.kit import CUTS, pieces, said_in, strict, thorough

BOM = b"\xef\xbb\xbf"
LINE_ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
VALUES = st.one_of(
    st.sampled_from(["", " ", "{}", "[DONE]", "a:b", "\u2028", "x\u2029y\x85\x0b\x0c\x1c", "世界🌍", ": no comment"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20),
)
LINES = st.builds(
    lambda head, value: f"{head}{value}".encode(),
    st.sampled_from(["data: ", "data:", "data:  ", "event: ", "id: ", "retry: ", ": ", ":"]),
    VALUES,
)
ODD = st.one_of(
    LINES,
    st.sampled_from([b"", b"data", b"event", BOM, b"stray", b"error: {}", b'{"error": 1}', b"datax: 1", b" data: 1"]),
)


@st.composite
def streams(draw: st.DrawFn, lines: st.SearchStrategy[bytes]) -> bytes:
    """Lines, ended in any of the three ways, often by a blank one."""
    one = st.tuples(lines, LINE_ENDS, st.one_of(st.just(b""), LINE_ENDS)).map(b"".join)
    bom = draw(st.sampled_from([b"", b"", BOM]))
    return bom + b"".join(draw(st.lists(one, max_size=8))) + draw(st.sampled_from([b"", b"data: x", b"da"]))


def read(parts: Sequence[bytes]) -> tuple[list[Event], bool]:
    """The events, and whether something was left that is no event stream."""
    events = Events()
    found = fed(events, parts)
    try:
        for one in events.finish():
            found.append(one)
    except Malformed:
        return found, False
    return found, True


def fed(events: Events, parts: Sequence[bytes]) -> list[Event]:
    return [one for part in parts for one in events.feed(part)]


def datas(stream: bytes) -> list[bytes]:
    return [one.data for one in read([stream])[0]]


@given(st.one_of(streams(ODD), st.binary(max_size=40)), CUTS)
@example(b"data: a\r\n\r\ndata: b\r\n\r\n", [8, 9, 10, 18, 19])
@example(b"data: a\r\r\ndata: b\n\r\n", [8, 9, 10])
@example(BOM + b"data: a\n\n", [1, 2, 3])
@example("data: 世\n\n".encode(), [7, 8])
@thorough
def test_the_same_events_however_the_bytes_are_cut(stream: bytes, cuts: list[int]) -> None:
    assert read(pieces(stream, cuts)) == read([stream])


@given(streams(ODD))
@thorough
def test_single_bytes_give_the_same_events(stream: bytes) -> None:
    assert read([stream[at : at + 1] for at in range(len(stream))]) == read([stream])


@given(streams(LINES))
@thorough
def test_they_are_those_of_a_plain_reading(stream: bytes) -> None:
    assert datas(stream) == said_in(stream)


def test_one_space_after_the_colon_is_no_part_of_the_data() -> None:
    assert datas(b"data: a\n\ndata:b\n\ndata:  c\n\n") == [b"a", b"b", b" c"]


def test_lines_of_data_are_joined() -> None:
    assert datas(b"data: {\ndata: }\n\n") == [b"{\n}"]


def test_an_event_has_its_name() -> None:
    assert list(Events().feed(b"event: error\ndata: x\n\n")) == [Event(b"x", b"error")]


def test_a_name_belongs_to_one_event() -> None:
    assert list(Events().feed(b"event: error\n\ndata: x\n\n")) == [Event(b"x")]


def test_comments_say_nothing() -> None:
    assert datas(b": OPENROUTER PROCESSING\n\n: x\ndata: a\n: y\n\n" + PING) == [b"a"]


@pytest.mark.parametrize("break_", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_only_cr_and_lf_end_a_line(break_: str) -> None:
    assert datas(f"data: a{break_}b\n\n".encode()) == [f"a{break_}b".encode()]


def test_a_byte_order_mark_is_taken_off_the_beginning_and_nowhere_else() -> None:
    assert datas(BOM + b"data: a\n\ndata: " + BOM + b"\n\n") == [b"a", BOM]


def test_what_is_left_without_a_blank_line_is_an_event_at_the_end() -> None:
    assert datas(b"data: a\n\ndata: b") == [b"a", b"b"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n\r\n"])
def test_bare_json_is_an_event(end: bytes) -> None:
    assert datas(b'data: {}\n\n{\n "error": {"code": 503}\n}' + end)[1:] == [b'{\n "error": {"code": 503}\n}']


def test_bare_json_may_have_blank_lines_inside() -> None:
    assert [strict(one) for one in datas(b'{\n\n"error": {}\n\n}\n\n')] == [{"error": {}}]


def test_old_llamacpps_error_field_is_an_error_object() -> None:
    assert [strict(one) for one in datas(b'error: {"code":500,"message":"no"}\n\n')] == [
        {"error": {"code": 500, "message": "no"}}
    ]


@pytest.mark.parametrize("page", [b"<html>\n\n<body>", b"upstream connect error", b"{broken"])
def test_what_is_neither_an_event_nor_json_is_malformed(page: bytes) -> None:
    assert read([page]) == ([], False)


def test_an_event_beyond_the_cap_is_malformed_and_not_asked_for_again() -> None:
    with pytest.raises(Malformed) as caught:
        fed(Events(max_event=100), [b"data: ", *[b"0123456789"] * 20])
    assert not caught.value.retry_here


def test_strays_count_towards_the_cap() -> None:
    with pytest.raises(Malformed):
        fed(Events(max_event=100), [b"<p>0123456789</p>\n\n"] * 20)


def test_an_event_of_megabytes_passes() -> None:
    big = b"x" * (3 * 1024 * 1024)
    stream = b"data: " + big + b"\n\n"
    found, whole = read([stream[at : at + 65_536] for at in range(0, len(stream), 65_536)])
    assert whole
    assert found == [Event(big)]


def test_a_long_stream_leaves_nothing_behind() -> None:
    events = Events()
    block = b"data: 0123456789\n\n" * 50 + b"data: 01"
    tracemalloc.start()
    try:
        for _ in range(200):
            list(events.feed(block))
            list(events.feed(b"\n\n"))
        assert tracemalloc.get_traced_memory()[0] < 20_000
    finally:
        tracemalloc.stop()


JSONS = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("ab\n\r\u2028", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSONS)
@thorough
def test_a_frame_is_one_event_of_one_line(value: Any) -> None:
    made = frame(value)
    assert [json.loads(data) for data in said_in(made)] == [value]
    assert made.count(b"\n") == 2
    assert b"\r" not in made


@given(JSONS, st.one_of(st.none(), st.integers(0, 10**9)))
@thorough
def test_a_named_event_has_its_name_its_number_and_one_line_of_data(value: Any, id: int | None) -> None:
    *fields, blank, rest = event("token", value, id).split(b"\n")
    assert (blank, rest) == (b"", b"")
    number = [b"id: %d" % id] if id is not None else []
    assert fields[:-1] == [*number, b"event: token"]
    assert json.loads(fields[-1].removeprefix(b"data: ")) == value


def test_the_end_and_the_ping_are_as_the_official_clients_take_them() -> None:
    assert said_in(DONE) == [b"[DONE]"]
    assert PING == b": ping\n"
