"""How hard the process is pressed: how late its event loop is and how much memory it holds, looked at by one timer."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from llmproxy.observe.periodic import attempt, every

from ..context import CURRENT, LOAD_SHEDDING

_EVERY = 0.5  # seconds between two looks
_MUCH = 128 * 1024 * 1024  # resident bytes from which on the allocator is asked to give back what is free
_GIVE_BACK = 5.0  # seconds between two times


@contextmanager
def watching(app: web.Application) -> Iterator[None]:
    """Looks for as long as the block lasts."""
    loop, pressure = asyncio.get_running_loop(), app[LOAD_SHEDDING]
    due = given_back = loop.time()
    left = 0

    def look() -> None:
        nonlocal due, given_back, left
        now = loop.time()
        late, due = max(0.0, now - due), now + _EVERY
        pressure.look(late, _resident(), app[CURRENT].config.server)
        if pressure.memory > _MUCH and pressure.memory != left and now - given_back > _GIVE_BACK:
            _give_back()
            given_back, left = now, _resident()

    attempt(look, "load_monitor")
    with every(_EVERY, look, "load_monitor"):
        yield


def _resident() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _give_back() -> None:
    """glibc keeps what large bodies have left behind, gigabytes of it (measured), unless it is asked."""
    import ctypes  # for the day there is something to give back

    gc.collect()  # failures are cycles, which hold their questions; what the start made is not looked at (gc.freeze)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
