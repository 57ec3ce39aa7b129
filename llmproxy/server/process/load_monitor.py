"""Measures event-loop lag and memory, with one timer."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from llmproxy.observe.periodic import attempt, every

from ..context import CURRENT, LOAD_SHEDDING, REGISTRY, TURNS

_EVERY = 0.5  # seconds between two looks
_MUCH = 128 * 1024 * 1024  # resident bytes above which the allocator is asked to return free memory
_MORE = 16 * 1024 * 1024  # growth since the last time, below which there is nothing to return
_GIVE_BACK = 5.0  # seconds between two times
_FEW = 100  # running and waiting requests; with more, only the youngest generation is collected


@contextmanager
def watching(app: web.Application) -> Iterator[None]:
    """Measures while the block is active."""
    loop, pressure = asyncio.get_running_loop(), app[LOAD_SHEDDING]
    due = loop.time()
    giving = GivingBack(due)

    def look() -> None:
        nonlocal due
        now = loop.time()
        late, due = max(0.0, now - due), now + _EVERY
        pressure.look(late, _resident(), app[CURRENT].config.server)
        if giving.is_due(now, pressure.memory, len(app[REGISTRY])):
            _give_back(len(app[REGISTRY]) + len(app[TURNS]))
            giving.done(now, _resident(), len(app[REGISTRY]))

    attempt(look, "load_monitor")
    with every(_EVERY, look, "load_monitor"):
        yield


def _resident() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class GivingBack:
    """Decides when memory is returned to the system: after it has grown, or after most requests have ended.

    It blocks the event loop for a moment. Five thousand quiet streams, whose memory is all in use, do not trigger it.
    """

    def __init__(self, now: float) -> None:
        self._at, self._memory, self._running = now, 0, 0

    def is_due(self, now: float, memory: int, running: int) -> bool:
        """memory: resident bytes. running: number of requests."""
        if memory <= _MUCH or now - self._at <= _GIVE_BACK:
            return False
        return memory - self._memory > _MORE or 2 * running < self._running

    def done(self, now: float, memory: int, running: int) -> None:
        self._at, self._memory, self._running = now, memory, running


def _give_back(running: int) -> None:
    """glibc keeps the memory of large bodies, gigabytes of it (measured), until it is asked to return it.

    Failed requests are reference cycles, which the garbage collector frees. Objects of the start are excluded (gc.freeze). The
    220 objects of each running request would be visited too, although they are in use.
    """
    import ctypes  # imported late: only needed when memory is returned

    gc.collect(2 if running <= _FEW else 1)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
