"""What a piece of code does, counted instead of timed: calls, by name, and the most memory it held."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable
from types import FrameType


def calls(work: Callable[[], object]) -> Counter[str]:
    """How often each function was called, Python's and C's alike, while `work` ran. The same on every run."""
    counted: Counter[str] = Counter()
    before = sys.getprofile()
    gc.disable()  # finalizers are calls too
    sys.setprofile(_into(counted))
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    del counted["setprofile"]
    return counted


async def calls_of_loop(work: Awaitable[object]) -> Counter[str]:
    """The same of all that the event loop's thread did until `work` was done. What other threads did is not in it."""
    counted: Counter[str] = Counter()
    before = sys.getprofile()
    sys.setprofile(_into(counted))
    try:
        await work
    finally:
        sys.setprofile(before)
    return counted


def _into(counted: Counter[str]) -> Callable[[FrameType, str, object], None]:
    def count(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            counted[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            counted[getattr(argument, "__qualname__", "?")] += 1

    return count


def peak(work: Callable[[], object]) -> int:
    """The most bytes that `work` had allocated at once, on top of what was there before."""
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def kept(work: Callable[[], object]) -> int:
    """The bytes that are still allocated after `work`."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
