"""The timer that notices when nothing moves: it fires once the limit has passed, and loses nobody else's cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from llmproxy.testing.jumping_clock import run
from llmproxy.upstream.idle_timer import IdleTimer

LIMIT = 5.0


def now() -> float:
    return asyncio.get_running_loop().time()


def test_without_progress_it_is_a_timeout_after_the_limit() -> None:
    async def play() -> float:
        begun = now()
        with pytest.raises(TimeoutError), IdleTimer(LIMIT):
            await asyncio.sleep(100)
        return now() - begun

    assert run(play()) == pytest.approx(LIMIT)


def test_a_limit_of_less_than_half_a_millisecond_is_kept_by_uvloop_too() -> None:
    async def play() -> None:
        with pytest.raises(TimeoutError), IdleTimer(0.0001):
            await asyncio.sleep(20)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())


def test_progress_puts_it_off() -> None:
    async def play() -> float:
        begun = now()
        with pytest.raises(TimeoutError), IdleTimer(LIMIT) as idle_timer:  # noqa: PT012
            for _ in range(4):
                await asyncio.sleep(3)
                idle_timer.moved()
            await asyncio.sleep(100)
        return now() - begun

    assert run(play()) == pytest.approx(4 * 3 + LIMIT)


def test_while_somebody_else_is_waited_for_it_does_not_fire() -> None:
    async def play() -> None:
        with IdleTimer(LIMIT) as idle_timer:
            idle_timer.watching = False
            await asyncio.sleep(100)
            idle_timer.watching = True
            idle_timer.moved()
            await asyncio.sleep(LIMIT - 1)

    run(play())


@pytest.mark.parametrize("limit", [1.0, 50.0])
def test_another_limit_counts_from_then_on(limit: float) -> None:
    async def play() -> float:
        begun = now()
        with pytest.raises(TimeoutError), IdleTimer(LIMIT) as idle_timer:  # noqa: PT012
            await asyncio.sleep(3)
            idle_timer.limit(limit)
            await asyncio.sleep(1000)
        return now() - begun

    assert run(play()) == pytest.approx(3 + limit)


def test_what_ends_in_time_is_left_alone_afterwards() -> None:
    async def play() -> int:
        with IdleTimer(LIMIT):
            await asyncio.sleep(1)
        await asyncio.sleep(100)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert run(play()) == 0


def test_other_failures_pass() -> None:
    async def play() -> None:
        with IdleTimer(LIMIT):
            raise ValueError("other")

    with pytest.raises(ValueError, match="other"):
        run(play())


def at_the_limit(other: Callable[[asyncio.Task[None]], object], *, first: bool) -> asyncio.Task[None]:
    """A stalled task, ended, to which `other` happened in the very tick in which the stall was noticed."""

    async def stalls() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        if first:
            loop.call_at(loop.time() + LIMIT, other, task)
        with IdleTimer(LIMIT):
            if not first:
                loop.call_at(loop.time() + LIMIT, other, task)
            await asyncio.sleep(100)

    async def play() -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(stalls())
        await asyncio.wait({task})
        return task

    return run(play())


@pytest.mark.parametrize("first", [True, False])
def test_a_cancel_in_the_same_tick_is_not_lost(first: bool) -> None:
    assert at_the_limit(lambda task: task.cancel(), first=first).cancelled()


@pytest.mark.parametrize("first", [True, False])
def test_alone_it_is_a_timeout_and_no_cancel(first: bool) -> None:
    task = at_the_limit(lambda _: None, first=first)
    assert isinstance(task.exception(), TimeoutError)


@pytest.mark.parametrize("first", [True, False])
def test_what_arrives_in_the_same_tick_leaves_no_cancel_behind(first: bool) -> None:
    async def play() -> int:
        loop = asyncio.get_running_loop()
        arrives = loop.create_future()
        if first:
            loop.call_at(loop.time() + LIMIT, arrives.set_result, None)
        try:
            with IdleTimer(LIMIT):
                if not first:
                    loop.call_at(loop.time() + LIMIT, arrives.set_result, None)
                await arrives
        except TimeoutError:
            pass
        await asyncio.sleep(1)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert run(play()) == 0


def test_inside_a_task_that_is_being_cancelled_it_still_is_a_timeout() -> None:
    async def stalls() -> str:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            with pytest.raises(TimeoutError), IdleTimer(LIMIT):
                await asyncio.sleep(100)  # closing something that hangs
            raise
        return "not cancelled"

    async def play() -> bool:
        task = asyncio.get_running_loop().create_task(stalls())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    assert run(play())
