"""A provider's answer in the client's own dialect leaves as the bytes that came, whatever is read in it on the way."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import GatewayError, Malformed, Truncated, UpstreamError
from llmproxy.wire.event_pattern import EventPattern
from llmproxy.wire.pass_through import PassThrough
from llmproxy.wire.provider_errors import in_band


class Watcher(PassThrough):
    """A dialect of its own: events with `text`, one that counts, an end, an error."""

    parsed = 0

    def look(self, event: Json, name: bytes) -> None:
        self.parsed += 1
        if "error" in event:
            raise self.judge(event)
        self.started = self.started or "text" in event
        self.produced += len(event.get("text", "").encode())
        self.done = event.get("type") == "end"

    def plain(self, event: Json, name: bytes) -> str:
        return "text" if "text" in event else ""

    def whole(self, answer: Json) -> None:
        if "error" in answer:
            raise self.judge(answer)
        self.produced = len(answer["text"])


def watcher(*, stream: bool = True) -> Watcher:
    return Watcher(Chat({"stream": stream}, "m"), in_band)


def said(text: str, number: int = 0, padding: str = "") -> bytes:
    data = {"type": "delta", "sequence_number": number, "text": text, "obfuscation": padding}
    return b"event: delta\ndata: " + orjson.dumps(data) + b"\n\n"


END = b'event: end\ndata: {"type":"end"}\n\n'


def cuts(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def passed(watcher: PassThrough, pieces: Iterator[bytes]) -> bytes:
    out = b"".join(frame for piece in pieces for frame in watcher.feed(piece))
    return out + b"".join(watcher.finish())


@pytest.mark.parametrize("size", [1, 2, 7, 60, 10_000])
def test_the_bytes_are_the_same_however_they_are_cut(size: int) -> None:
    stream = said("Hé") + b": ping\n\n" + said('l"lo\n', 1, "ab") + said("", 2) + END
    one = watcher()
    assert passed(one, cuts(stream, size)) == stream
    assert one.done
    assert one.started


def test_each_piece_that_is_given_is_whole_events() -> None:
    one = watcher()
    for piece in cuts(said("a") + said("b") + END, 5):
        for frame in one.feed(piece):
            assert frame.endswith(b"\n\n")


def test_plain_events_are_not_parsed() -> None:
    one = watcher()
    stream = [said("word ", number, "x" * (number % 7)) for number in range(100)]
    assert passed(one, iter([*stream[:3], b"".join(stream[3:]), END])) == b"".join(stream) + END
    assert one.parsed <= 3
    assert one.produced == 500


def test_an_event_that_says_more_is_parsed() -> None:
    one = watcher()
    other = b'event: delta\ndata: {"type":"delta","sequence_number":2,"text":"x","obfuscation":"","more":1}\n\n'
    passed(one, iter([said("a"), said("b", 1), other, END]))
    assert one.parsed == 3


def test_the_last_block_is_one_with_an_event() -> None:
    """Its number is what a keep-alive repeats, and what a failure goes on from."""
    watched = watcher()
    for block in (said("Hi"), b": ping\n\n"):
        assert b"".join(watched.feed(block)) == block
    assert watched.last == said("Hi")


def test_a_cut_is_an_error_after_what_was_good() -> None:
    one = watcher()
    assert b"".join(one.feed(said("a") + said("b")[:-9])) == said("a")
    with pytest.raises(Truncated):
        list(one.finish())


def test_an_error_comes_after_what_was_good() -> None:
    one = watcher()
    given: list[bytes] = []
    with pytest.raises(UpstreamError, match="busy"):
        given.extend(one.feed(said("a") + b'data: {"error":{"message":"busy"}}\n\n'))
    assert b"".join(given) == said("a")


def test_an_answer_that_is_no_stream_is_given_whole() -> None:
    one = watcher(stream=False)
    assert list(one.feed(b'{"text":')) == []
    list(one.feed(b' "a"}'))
    assert list(one.finish()) == [b'{"text": "a"}']
    assert one.done


@pytest.mark.parametrize("body", [b"", b'{"text":', b"<html>", b"[]"])
def test_what_is_no_answer_is_an_error(body: bytes) -> None:
    one = watcher(stream=False)
    list(one.feed(body))
    with pytest.raises((Truncated, Malformed)):
        list(one.finish())


def test_line_ends_of_any_kind_are_understood() -> None:
    stream = (said("a") + END).replace(b"\n", b"\r\n")
    for size in (1, 3, 1000):
        assert passed(watcher(), cuts(stream, size)) == said("a") + END


@given(st.lists(st.tuples(st.text(), st.integers(0, 10**6), st.text()), min_size=1))
def test_a_pattern_meets_every_event_of_its_form_and_counts_its_text(events: list[tuple[str, int, str]]) -> None:
    pattern = EventPattern.learn(said("hello", 1, "abc"), "text")
    assert pattern is not None
    block = b"".join(said(*one) for one in events)
    assert pattern.text_in(block) == sum(len(orjson.dumps(text)) - 2 for text, _, _ in events)


@given(st.binary(max_size=12), st.integers(0, 200))
def test_a_pattern_meets_nothing_that_is_not_json(noise: bytes, at: int) -> None:
    event = said("hello", 1)
    pattern = EventPattern.learn(event, "text")
    assert pattern is not None
    changed = event[: at % len(event)] + noise + event[at % len(event) :]
    if pattern.text_in(changed) >= 0:
        for one in changed.split(b"\n\n")[:-1]:
            orjson.loads(one.partition(b"data: ")[2])


def test_spaces_before_the_last_brace_are_padding() -> None:
    pattern = EventPattern.learn(b'data: {"delta":{"text":"a"}   }\n\n', "text")
    assert pattern is not None
    assert pattern.text_in(b'data: {"delta":{"text":"abc"}}\n\ndata: {"delta":{"text":""}      }\n\n') == 3


def test_where_the_text_cannot_be_told_there_is_no_pattern() -> None:
    assert EventPattern.learn(b'data: {"text":"a","more":{"text":"b"}}\n\n', "text") is None
    assert EventPattern.learn(b'data: {"text":7}\n\n', "text") is None


def test_a_mistake_in_a_watcher_is_not_hidden() -> None:
    with pytest.raises(NotImplementedError):
        list(PassThrough(Chat({"stream": True}, "m"), in_band).feed(said("a")))


def test_one_large_event_costs_no_more_than_its_bytes() -> None:
    one = watcher()
    pieces = iter([b'data: {"text":"', *[b"x" * 65_536] * 600])
    with pytest.raises(GatewayError, match="larger than"):
        passed(one, pieces)


def test_events_that_all_look_different_are_not_learnt_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copilot's ids change with every event: a pattern costs more than it gives there."""
    learnt = 0
    learn = EventPattern.learn

    def counting(event: bytes, member: str) -> EventPattern | None:
        nonlocal learnt
        learnt += 1
        return learn(event, member)

    monkeypatch.setattr(EventPattern, "learn", counting)
    one = watcher()
    stream = [b'data: {"id":"%d","text":"word"}\n\n' % number for number in range(200)]
    assert b"".join(frame for event in stream for frame in one.feed(event)) == b"".join(stream)
    assert learnt < 10
    alike = [said("word", number) for number in range(100)]
    assert b"".join(frame for event in alike for frame in one.feed(event)) == b"".join(alike)
    assert one.parsed < 200 + 80
