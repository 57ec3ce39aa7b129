"""Milliseconds of a piece of work, and how much of it the event loop did at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

REPEATS = 5


def least(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The shortest of some times: what the work takes where nothing else is in its way."""
    return min(once(work) for _ in range(repeats))


def once(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


async def waited(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1e3


async def longest_work(work: Callable[[], Awaitable[object]]) -> float:
    """The most CPU that the loop's thread took at once, without a turn for anything else, while it waited for the work.

    CPU and not time: what other programs and threads took of the machine in the meantime is not in it.
    """
    longest, last = 0.0, time.thread_time()

    async def look() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    looking = asyncio.create_task(look())
    await asyncio.sleep(0.01)
    longest = 0.0
    try:
        await work()
    finally:
        looking.cancel()
    return longest * 1e3
