"""Many alarms with one timer: each rings once, at its time and in its order, whatever happens to the others."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from llmproxy.core.alarms import Alarms, alarms
from llmproxy.testing.jumping_clock import run


def rung(*times: float, cancelled: tuple[float, ...] = ()) -> list[tuple[float, float]]:
    """When alarms at these times rang, by the clock: (the time of the alarm, the time of the call)."""

    async def play() -> list[tuple[float, float]]:
        loop, seen = asyncio.get_running_loop(), list[tuple[float, float]]()
        begun = loop.time()
        of_loop = alarms(loop)

        def ring(at: float) -> None:
            seen.append((at, loop.time() - begun))

        made = [of_loop.set(begun + at, partial(ring, at)) for at in times]
        for one in made:
            if one.when - begun in cancelled:
                one.cancel()
        await asyncio.sleep(max(times) + 1)
        return seen

    return run(play())


def test_each_rings_at_its_time_in_whichever_order_they_were_set() -> None:
    assert rung(5.0, 2.0, 9.0, 2.0) == [(2.0, 2.0), (2.0, 2.0), (5.0, 5.0), (9.0, 9.0)]


def test_a_cancelled_one_does_not_ring_and_holds_up_no_other() -> None:
    assert rung(2.0, 5.0, 9.0, cancelled=(2.0, 9.0)) == [(5.0, 5.0)]


def test_one_that_fails_is_reported_and_the_others_ring() -> None:
    async def play() -> tuple[list[str], list[Any]]:
        loop, seen, told = asyncio.get_running_loop(), list[str](), list[Any]()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        of_loop = alarms(loop)
        of_loop.set(loop.time() + 1, lambda: seen.append("before"))
        of_loop.set(loop.time() + 1, lambda: 1 / 0)
        of_loop.set(loop.time() + 1, lambda: seen.append("after"))
        await asyncio.sleep(2)
        return seen, told

    seen, told = run(play())
    assert seen == ["before", "after"]
    assert [type(one) for one in told] == [ZeroDivisionError]


def test_one_that_sets_itself_again_and_cancels_another_is_obeyed() -> None:
    async def play() -> list[float]:
        loop, seen = asyncio.get_running_loop(), list[float]()
        begun, of_loop = loop.time(), alarms(loop)
        other = of_loop.set(begun + 3, lambda: seen.append(-1.0))

        def again() -> None:
            seen.append(loop.time() - begun)
            other.cancel()
            if len(seen) < 3:
                of_loop.set(loop.time() + 2, again)

        of_loop.set(begun + 2, again)
        await asyncio.sleep(10)
        return seen

    assert run(play()) == [2.0, 4.0, 6.0]


def test_cancelled_ones_are_forgotten_before_their_time() -> None:
    async def play() -> int:
        loop = asyncio.get_running_loop()
        of_loop = Alarms(loop)
        for _ in range(20_000):
            of_loop.set(loop.time() + 600, loop.stop).cancel()
        return len(of_loop._heap)

    assert run(play()) < 3_000
