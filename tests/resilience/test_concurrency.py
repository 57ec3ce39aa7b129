"""A provider's queue: so many at once, the others in their order, none forgotten and no place lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.chat import Chat
from llmproxy.core.errors import Dropped, Saturated
from llmproxy.resilience import ConcurrencyOpener, Places
from llmproxy.testing.jumping_clock import run
from tests.core.kit import chat, thorough
from tests.core.openers import Scripted, settled, taken


@dataclass(eq=False)
class Asker:
    """One request: `ends` lets its answer end."""

    chat: Chat
    ends: asyncio.Event
    task: asyncio.Task[object]

    @property
    def error(self) -> BaseException | None:
        return self.task.exception() if self.task.done() and not self.task.cancelled() else None


@dataclass
class Bench:
    """A ConcurrencyOpener whose requests are told when to end."""

    at_once: int = 1
    queue: int = 10
    wait: float = 60.0
    running: list[Asker] = field(default_factory=list)  # in the order in which they were let in
    askers: list[Asker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inner = Scripted()
        self.limited = ConcurrencyOpener(self.inner, Places(at_once=self.at_once, queue=self.queue, wait=self.wait))

    def ask(self, owner: str = "") -> Asker:
        question, ends = chat(), asyncio.Event()
        question.trace.owner = owner
        one = Asker(question, ends, asyncio.ensure_future(self._go(question, ends)))
        self.askers.append(one)
        return one

    async def _go(self, question: Chat, ends: asyncio.Event) -> None:
        async with self.limited.open(question):
            me = next(one for one in self.askers if one.chat is question)
            self.running.append(me)
            try:
                await ends.wait()
            finally:
                self.running.remove(me)

    @property
    def waiting(self) -> list[Asker]:
        return [one for one in self.askers if not one.task.done() and one not in self.running]


async def test_so_many_at_once_and_the_others_in_their_order() -> None:
    bench = Bench(at_once=2)
    askers = [bench.ask() for _ in range(5)]
    await settled()
    assert bench.running == askers[:2]
    for number in range(3):
        askers[number].ends.set()
        await settled()
        assert bench.running[-1] is askers[number + 2]
    assert bench.inner.most == 2


async def test_each_is_told_its_place() -> None:
    bench = Bench()
    askers = [bench.ask() for _ in range(4)]
    await settled()
    assert [one.chat.trace.position for one in askers] == [None, 1, 2, 3]
    assert askers[1].chat.trace.phase == "queued"
    askers[0].ends.set()
    await settled()
    assert [one.chat.trace.position for one in askers] == [None, None, 1, 2]
    askers[2].task.cancel()
    await settled()
    assert [one.chat.trace.position for one in askers] == [None, None, None, 1]


async def test_more_than_the_queue_holds_are_refused() -> None:
    bench = Bench(queue=1)
    _, second, third = bench.ask(), bench.ask(), bench.ask()
    await settled()
    assert isinstance(third.error, Saturated)
    assert (third.error.status, third.error.headers, third.error.blames) == (429, {"Retry-After": "1"}, False)
    assert third.error.try_elsewhere
    assert not second.task.done()


def test_a_wait_that_is_too_long_ends() -> None:
    async def play() -> tuple[Asker, int, bool]:
        bench = Bench(wait=5.0)
        first, second = bench.ask(), bench.ask()
        await asyncio.sleep(6)
        first.ends.set()
        await settled()
        bench.ask()
        await settled()
        return second, bench.limited.places.queued, len(bench.running) == 1

    second, queued, goes_on = run(play())
    assert isinstance(second.error, Saturated)
    assert second.error.status == 503
    assert (queued, goes_on) == (0, True)
    assert second.chat.trace.position is None


@pytest.mark.parametrize("first", ["end", "cancel"])
async def test_a_cancel_in_the_tick_of_its_turn_passes_the_turn_on(first: str) -> None:
    bench = Bench()
    one, two, three = (bench.ask() for _ in range(3))
    await settled()
    if first == "end":
        one.ends.set()
        two.task.cancel()
    else:
        two.task.cancel()
        one.ends.set()
    await settled()
    assert bench.running == [three]
    assert two.task.cancelled()


async def test_a_cancel_just_after_the_turn_came_passes_it_on() -> None:
    bench = Bench()
    one, two, three = (bench.ask() for _ in range(3))
    await settled()
    one.ends.set()
    for _ in range(10):
        await asyncio.sleep(0)
        if one.task.done():
            break
    two.task.cancel()
    await settled()
    assert bench.running == [three]


async def test_a_failure_gives_its_place_back() -> None:
    inner = Scripted([Dropped("broke"), (b"frame",)])
    limited = ConcurrencyOpener(inner, Places(at_once=1, queue=0, wait=1))
    with pytest.raises(Dropped):
        await taken(limited, chat())
    assert await taken(limited, chat()) == [b"frame"]


ACTS = st.lists(
    st.tuples(st.sampled_from(["ask", "ask", "end", "cancel"]), st.integers(0, 9), st.sampled_from([0, 0, 1, 2, 20])),
    max_size=30,
)


@given(st.integers(1, 3), st.integers(0, 4), ACTS)
@thorough
def test_whatever_happens_in_which_tick_no_place_is_lost(
    at_once: int, queue: int, acts: list[tuple[str, int, int]]
) -> None:
    async def play() -> None:
        bench = Bench(at_once, queue)
        for act, number, ticks in acts:
            living = [one for one in bench.askers if not one.task.done()]
            if act == "ask":
                bench.ask()
            elif living and act == "cancel":
                living[number % len(living)].task.cancel()
            elif living:
                living[number % len(living)].ends.set()
            for _ in range(ticks):
                await asyncio.sleep(0)
            assert len(bench.running) <= at_once
            assert bench.limited.places.queued <= queue
        await settled()
        assert len(bench.running) == at_once or not bench.waiting
        assert [one.chat.trace.position for one in bench.waiting] == list(range(1, len(bench.waiting) + 1))
        for one in bench.askers:
            one.task.cancel()
        await settled()
        again = [bench.ask() for _ in range(at_once)]
        await settled()
        assert bench.running == again
        for one in again:
            one.ends.set()
        await settled()

    asyncio.run(play())


async def test_keys_take_turns_and_who_has_many_waiting_keeps_nobody_out() -> None:
    bench = Bench()
    bench.ask("busy").task.set_name("running")
    await settled()
    many = [bench.ask("busy") for _ in range(4)]
    await settled()
    few = [bench.ask("quiet"), bench.ask("other")]
    await settled()
    order: list[str] = []
    for _ in range(7):
        [now] = bench.running
        order.append(now.chat.trace.owner)
        now.ends.set()
        await settled()
    assert order == ["busy", "busy", "quiet", "other", "busy", "busy", "busy"]
    assert all(one.task.done() for one in (*many, *few))
