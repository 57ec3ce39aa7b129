"""A replay buffer gives every reader exactly what was written, or says what is missing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from llmproxy.core.replay import Gone
from llmproxy.requests.replay_buffer import ReplayBuffer
from tests.thorough import examples

EVENTS = [b"event %d\n\n" % n for n in range(1, 41)]


def written(*events: bytes, max_bytes: int = 10_000, max_events: int = 1000) -> ReplayBuffer:
    buffer = ReplayBuffer(max_bytes, max_events)
    for event in events:
        buffer.append(event)
    return buffer


async def rest(buffer: ReplayBuffer, after: int = 0) -> list[tuple[int, bytes]]:
    return [pair async for pair in buffer.read(after)]


async def test_ids_count_from_one_without_a_gap() -> None:
    buffer = written(*EVENTS)
    buffer.close()
    assert await rest(buffer) == list(enumerate(EVENTS, 1))


async def test_a_reader_gets_the_kept_part_and_then_the_live_one() -> None:
    buffer = written(*EVENTS[:3])
    reading = asyncio.ensure_future(rest(buffer, after=1))
    await asyncio.sleep(0)
    for event in EVENTS[3:]:
        buffer.append(event)
        await asyncio.sleep(0)
    buffer.close()
    assert await reading == list(enumerate(EVENTS, 1))[1:]


async def test_one_readers_leaving_disturbs_no_other() -> None:
    buffer = ReplayBuffer()
    staying, leaving = asyncio.ensure_future(rest(buffer)), asyncio.ensure_future(rest(buffer))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    buffer.append(b"x")
    buffer.close()
    assert await staying == [(1, b"x")]
    assert leaving.cancelled()


async def test_the_oldest_are_forgotten_beyond_the_bytes() -> None:
    buffer = written(*[b"12345"] * 10, max_bytes=20)
    assert (buffer.oldest, buffer.newest, buffer.size) == (7, 10, 20)


async def test_the_oldest_are_forgotten_beyond_the_count() -> None:
    buffer = written(*EVENTS, max_events=5)
    buffer.close()
    assert await rest(buffer, after=35) == list(enumerate(EVENTS, 1))[35:]


async def test_an_event_larger_than_the_tape_is_still_given_to_live_readers() -> None:
    buffer = written(b"small", b"x" * 100, max_bytes=10)
    buffer.close()
    assert await rest(buffer, after=1) == [(2, b"x" * 100)]


async def test_what_is_forgotten_is_said_with_the_oldest_id() -> None:
    buffer = written(*EVENTS, max_events=5)
    with pytest.raises(Gone) as gone:
        await rest(buffer, after=3)
    assert gone.value.oldest == 36
    assert gone.value.status == 409
    assert gone.value.as_json()["error"]["oldest"] == 36


async def test_one_event_too_few_is_a_gap() -> None:
    buffer = written(*EVENTS, max_events=5)
    buffer.check(35)
    with pytest.raises(Gone):
        buffer.check(34)


async def test_a_reader_that_falls_behind_in_mid_stream_is_told() -> None:
    buffer = written(*EVENTS[:2], max_events=2)
    async with aclosing(buffer.read()) as reader:  # type: ignore[type-var]  # an async generator, typed as its iterator
        assert await anext(reader) == (1, EVENTS[0])
        for event in EVENTS[2:]:
            buffer.append(event)
        with pytest.raises(Gone):
            await anext(reader)


async def test_memory_stays_bounded_however_much_is_written() -> None:
    buffer = ReplayBuffer(max_bytes=1000, max_events=50)
    for _ in range(20_000):
        buffer.append(b"0123456789")
    assert buffer.newest == 20_000
    assert len(buffer._events) <= 200
    assert buffer.size <= 1000


async def test_a_reader_ahead_of_the_tape_waits() -> None:
    buffer = written(b"a")
    reading = asyncio.ensure_future(rest(buffer, after=2))
    for event in (b"b", b"c"):
        buffer.append(event)
        await asyncio.sleep(0)
    buffer.close()
    assert await reading == [(3, b"c")]


@given(cuts=st.lists(st.integers(0, 40), max_size=12), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_blocks_joined_over_any_cuts_equal_the_uncut_stream(cuts: list[int], sizes: list[int]) -> None:
    buffer = written(*EVENTS)
    seen, position = b"", 0
    for turn in range(200):
        size = sizes[turn % len(sizes)]
        position, block = buffer.take(position, size)
        seen += block
    assert seen == b"".join(EVENTS)


class Resuming(RuleBasedStateMachine):
    """Readers come, read some, are cut and resume, while events are written and forgotten."""

    readers = Bundle("readers")

    def __init__(self) -> None:
        super().__init__()
        self.buffer = ReplayBuffer(max_bytes=60, max_events=3)
        self.written: list[bytes] = []
        self.seen: dict[int, tuple[int, list[bytes]]] = {}  # reader: where it began, what it got since

    @rule(event=st.binary(min_size=1, max_size=40))
    @precondition(lambda self: not self.buffer.closed)
    def write(self, event: bytes) -> None:
        self.written.append(event)
        assert self.buffer.append(event) == len(self.written)

    @rule()
    @precondition(lambda self: len(self.written) > 12)
    def end(self) -> None:
        self.buffer.close()

    @rule(target=readers)
    def begin(self) -> int:
        reader = len(self.seen)
        self.seen[reader] = (self.buffer.oldest - 1, [])
        return reader

    @rule(reader=readers, size=st.integers(1, 100))
    def resume(self, reader: int, size: int) -> None:
        start, got = self.seen[reader]
        after = start + len(got)
        if after + 1 < self.buffer.oldest:
            with pytest.raises(Gone):
                self.buffer.take(after, size)
            self.seen[reader] = (self.buffer.oldest - 1, [])
            return
        position, block = self.buffer.take(after, size)
        assert block == b"".join(self.written[after:position])
        got.extend(self.written[after:position])

    @invariant()
    def nothing_is_doubled_or_missing(self) -> None:
        for start, got in self.seen.values():
            assert got == self.written[start : start + len(got)]

    @invariant()
    def bounds_hold(self) -> None:
        kept = self.buffer.newest - self.buffer.oldest + 1
        assert kept <= 3
        assert self.buffer.size <= 60


TestResuming = Resuming.TestCase
TestResuming.settings = examples(60, stateful_step_count=40)
