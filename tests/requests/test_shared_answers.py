"""One answer for several requests: who reads it, who stops it, and what is kept of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.chat import Chat
from llmproxy.core.errors import UpstreamError
from llmproxy.core.opener import Reply
from llmproxy.core.trace import Trace
from llmproxy.core.usage import Usage
from llmproxy.requests.answer_cache import AnswerCache
from llmproxy.requests.sameness import Plan
from llmproxy.requests.shared_answers import SharedAnswers
from tests.core.kit import thorough
from tests.core.openers import Act, Counted, Scripted, settled

KEY = Plan(b"key", look=True)
FRESH = Plan(b"key", look=False)


class House:
    """Shared answers before a scripted provider."""

    def __init__(self, *acts: Act, seconds: float = 60, buffer_bytes: int = 1000) -> None:
        self.now = 0.0
        self.provider = Scripted(acts, Usage(3, 4))
        cache = AnswerCache(most=100_000, seconds=seconds)
        self.answers = SharedAnswers(cache, buffer_bytes=buffer_bytes, clock=lambda: self.now)

    def ask(self, plan: Plan = KEY) -> Asked:
        return Asked(self, plan)


class Asked:
    """One request that reads to the end, and what has become of it."""

    def __init__(self, of: House, plan: Plan) -> None:
        self.chat = Chat({}, "m", trace=Trace("id"))
        self.got: list[bytes] = []
        self.done: list[bool] = []
        self.reply: Any = None
        self.reading = of.answers.open(plan, self.chat, of.provider.open)
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> bytes:
        async with self.reading as self.reply:
            async for block in self.reply.frames:
                self.got.append(block)
                self.done.append(self.reply.translator.done)
        return b"".join(self.got)

    @property
    def cache(self) -> str | None:
        return self.chat.trace.cache

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


def marks(asked: Sequence[Asked]) -> list[str | None]:
    return [one.cache for one in asked]


async def test_requests_at_the_same_time_are_one_question_and_each_reads_all_of_it() -> None:
    go = asyncio.Event()
    there = House((b"one", go, b"two"))
    early = [there.ask(), there.ask()]
    await settled()
    late = there.ask()
    await settled()
    go.set()
    assert [await one.task for one in (*early, late)] == [b"onetwo"] * 3
    assert marks((*early, late)) == ["miss", "joined", "joined"]
    assert len(there.provider.opened) == 1
    assert there.provider.now == 0


async def test_what_is_kept_is_given_again_until_its_time_is_over() -> None:
    there = House((b"one", b"two"), (b"new",))
    assert await there.ask().task == b"onetwo"
    hit = there.ask()
    assert await hit.task == b"onetwo"
    there.now = 60
    assert await there.ask().task == b"new"
    assert (hit.cache, len(there.provider.opened)) == ("hit", 2)


async def test_only_who_began_it_has_used_tokens() -> None:
    go = asyncio.Event()
    there = House((b"one", go))
    first, joined = there.ask(), there.ask()
    await settled()
    assert (first.reply.translator.usage, joined.reply.translator.usage) == (Usage(3, 4), None)
    go.set()
    await first.task
    await joined.task
    hit = there.ask()
    await hit.task
    assert hit.reply.translator.usage is None
    assert [len(one.chat.trace.tries) for one in (first, joined, hit)] == [1, 0, 0]
    assert [one.chat.trace.attempts for one in (first, joined, hit)] == [1, 0, 0]
    assert {one.chat.trace.provider for one in (first, joined, hit)} == {"scripted"}
    assert {one.chat.trace.phase for one in (first, joined, hit)} >= {"streaming"}


@pytest.mark.parametrize("leaves", [0, 1])
async def test_the_stop_of_one_ends_only_its_own_reading(leaves: int) -> None:
    go = asyncio.Event()
    there = House((b"one", go, b"two"))
    both = [there.ask(), there.ask()]
    await settled()
    await both[leaves].stop()
    assert both[leaves].task.cancelled()
    assert there.provider.now == 1
    go.set()
    assert await both[1 - leaves].task == b"onetwo"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("act", [(b"one", asyncio.Event()), asyncio.Event()], ids=["streaming", "opening"])
async def test_the_last_ones_leaving_stops_it(order: tuple[int, int], act: Act) -> None:
    never = asyncio.Event()
    there = House((b"one", never) if isinstance(act, tuple) else never, (b"new",))
    both = [there.ask(), there.ask()]
    await settled()
    await both[order[0]].stop()
    assert there.provider.now == 1
    await both[order[1]].stop()
    assert there.provider.now == 0, "it is closed when the last one has left, not later"
    assert await there.ask().task == b"new", "what was stopped is neither joined nor kept"


async def test_a_failure_is_told_to_those_who_wait_and_never_to_who_comes_again() -> None:
    go = asyncio.Event()
    there = House((b"one", go, UpstreamError("broken", status=502)), (b"good",))
    both = [there.ask(), there.ask()]
    await settled()
    go.set()
    for one in both:
        with pytest.raises(UpstreamError, match="broken"):
            await one.task
        assert one.got == [b"one"]
    again = there.ask()
    assert await again.task == b"good"
    assert again.cache == "miss"


async def test_a_failure_before_the_first_frame_is_told_to_all_who_wait() -> None:
    there = House(UpstreamError("refused", status=503), (b"good",))
    both = [there.ask(), there.ask()]
    for one in both:
        with pytest.raises(UpstreamError, match="refused"):
            await one.task
    assert await there.ask().task == b"good"


async def test_who_wants_a_fresh_answer_joins_nobody_and_its_answer_is_kept() -> None:
    go = asyncio.Event()
    there = House((b"old", go), (b"fresh",))
    slow = there.ask()
    await settled()
    fresh = there.ask(FRESH)
    assert await fresh.task == b"fresh"
    assert fresh.cache == "miss"
    assert await there.ask().task == b"fresh"
    await slow.stop()


async def test_no_two_keys_share_anything() -> None:
    there = House((b"one",), (b"two",))
    assert await there.ask().task == b"one"
    assert await there.ask(Plan(b"other", look=True)).task == b"two"


async def test_an_answer_larger_than_its_buffer_reaches_its_readers_whole_and_is_neither_joined_nor_kept() -> None:
    go = asyncio.Event()
    blocks = [bytes([65 + number]) * 400 for number in range(10)]
    there = House((*blocks[:5], go, *blocks[5:]), (b"new",), buffer_bytes=1000)
    both = [there.ask(), there.ask()]
    await settled()
    late = there.ask()
    await settled()
    go.set()
    assert [await one.task for one in both] == [b"".join(blocks)] * 2
    assert await late.task == b"new"
    assert late.cache == "miss"


async def test_a_reader_that_takes_nothing_holds_a_large_answer_back_and_its_leaving_lets_it_go_on() -> None:
    go = asyncio.Event()
    blocks = [bytes([65 + number]) * 400 for number in range(10)]
    there = House((blocks[0], go, *blocks[1:]), buffer_bytes=1000)
    stuck = there.answers.open(KEY, Chat({}, "m", trace=Trace("id")), there.provider.open)
    await stuck.__aenter__()
    other = there.ask()
    await settled()
    go.set()
    await settled()
    assert 0 < len(b"".join(other.got)) <= 1000
    await stuck.__aexit__(None, None, None)
    assert await other.task == b"".join(blocks)


async def test_the_end_is_known_with_the_last_block_and_not_before() -> None:
    there = House((b"one", b"two"))
    await there.ask().task
    hit = there.ask()
    await hit.task
    assert hit.done[-1] is True


class Stepped:
    """A provider whose answer goes on by one block for each step, in all of its openings."""

    BLOCKS = (b"one", b"two", b"three", b"four")

    def __init__(self) -> None:
        self.now = self.most = self.openings = self.steps = 0
        self._moved = asyncio.Event()

    def step(self) -> None:
        self.steps += 1
        self._moved.set()
        self._moved = asyncio.Event()

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        self.now += 1
        self.openings += 1
        self.most = max(self.most, self.now)
        chat.trace.dial("stepped", chat.model)
        try:
            yield Reply(self._frames(self.steps), Counted(), "text/event-stream")
        finally:
            self.now -= 1

    async def _frames(self, began: int) -> AsyncIterator[bytes]:
        for number, block in enumerate(self.BLOCKS, 1):
            while self.steps < began + number:
                await self._moved.wait()
            yield block


MOVES = st.lists(st.one_of(st.just("ask"), st.just("step"), st.integers(0, 5)), max_size=30)


@thorough
@given(MOVES, st.integers(4, 40))
def test_whoever_comes_and_goes_each_reads_all_or_leaves_and_one_provider_is_asked(
    moves: list[str | int], buffer_bytes: int
) -> None:
    """A number is a reader that leaves. A buffer that is too small for the answer is one case of it."""

    async def play() -> None:
        there = House(seconds=0, buffer_bytes=buffer_bytes)
        provider = Stepped()
        there.provider = provider  # type: ignore[assignment]  # it opens as well
        asked: list[Asked] = []
        for move in moves:
            if move == "ask":
                asked.append(there.ask())
            elif move == "step":
                provider.step()
            elif isinstance(move, int) and move < len(asked):
                asked[move].task.cancel()
            await settled()
            readers = sum(not one.task.done() for one in asked)
            assert provider.now <= max(1, readers)
            assert provider.now > 0 or readers == 0
            if buffer_bytes >= 20:
                assert provider.now <= 1
        for _ in provider.BLOCKS:
            provider.step()
            await settled()
        ends = await asyncio.gather(*(one.task for one in asked), return_exceptions=True)
        assert all(one == b"onetwothreefour" or isinstance(one, asyncio.CancelledError) for one in ends)
        assert (provider.now, there.answers.running) == (0, {})

    asyncio.run(play())


async def test_who_began_it_hears_of_its_end_only_if_others_took_it_there() -> None:
    told: list[str] = []
    go = asyncio.Event()
    there = House((b"one", go), (b"one",))
    first, joined = there.ask(), there.ask()
    first.reading.after = lambda: told.append("late")
    await settled()
    await first.stop()
    assert told == []
    go.set()
    await joined.task
    assert told == ["late"]

    alone = there.ask(FRESH)
    alone.reading.after = lambda: told.append("late")
    await alone.task
    assert told == ["late"]
