"""Measures event-loop lag and memory, with one timer."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from llmproxy.observe.periodic import attempt, every

from ..context import CURRENT, LOAD_SHEDDING, REGISTRY

_EVERY = 0.5  # seconds between two looks
_MUCH = 128 * 1024 * 1024  # resident bytes from which on the allocator is asked to give back what is free
_MORE = 16 * 1024 * 1024  # bytes since the last time, without which there is nothing to give back
_GIVE_BACK = 5.0  # seconds between two times
_FEW = 100  # requests that run: with more the collector looks at the youngest objects only


@contextmanager
def watching(app: web.Application) -> Iterator[None]:
    """Looks for as long as the block lasts."""
    loop, pressure = asyncio.get_running_loop(), app[LOAD_SHEDDING]
    due = loop.time()
    giving = GivingBack(due)

    def look() -> None:
        nonlocal due
        now = loop.time()
        late, due = max(0.0, now - due), now + _EVERY
        pressure.look(late, _resident(), app[CURRENT].config.server)
        if giving.is_due(now, pressure.memory, len(app[REGISTRY])):
            _give_back(len(app[REGISTRY]))
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
    """When memory is to be given back to the system: after it has grown, or most of what ran has ended.

    A look costs a stop of the event loop. Five thousand quiet streams, whose memory is all in use, are left alone.
    """

    def __init__(self, now: float) -> None:
        self._at, self._memory, self._running = now, 0, 0

    def is_due(self, now: float, memory: int, running: int) -> bool:
        """memory: resident bytes. running: requests."""
        if memory <= _MUCH or now - self._at <= _GIVE_BACK:
            return False
        return memory - self._memory > _MORE or 2 * running < self._running

    def done(self, now: float, memory: int, running: int) -> None:
        self._at, self._memory, self._running = now, memory, running


def _give_back(running: int) -> None:
    """glibc keeps what large bodies have left behind, gigabytes of it (measured), unless it is asked.

    Failures are cycles, which hold their questions: the collector frees them. What the start made is not looked at
    (gc.freeze); of many running requests all 220 objects each would be, and they are in use.
    """
    import ctypes  # for the day there is something to give back

    gc.collect(2 if running <= _FEW else 1)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
