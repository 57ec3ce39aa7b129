"""How hard the process is pressed: how late its event loop is and how much memory it holds, looked at by one timer."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from aiohttp import web

from llmproxy.config import Server
from llmproxy.observe.log import log
from llmproxy.observe.periodic import attempt, every

from ..context import CURRENT, PRESSURE

_EVERY = 0.5  # seconds between two looks
_MINUTE = 120  # looks
_STANDING = 3  # looks in a row that must be late: one long task, or a process that was stopped, is no overload
_BLOCKED = 0.5  # seconds: a single delay that is worth a warning
_SHARE = 0.9  # of a container's memory
_LARGE = 1024 * 1024  # bytes of a body that is counted before it has come
_COPIES = 3  # of a body, while it is read, rendered and sent (measured)
_MUCH = 128 * 1024 * 1024  # resident bytes from which on the allocator is asked to give back what is free
_GIVE_BACK = 5.0  # seconds between two times


class Pressure:
    """`refusal` says why no further request is taken in; it is empty as long as they are."""

    def __init__(self) -> None:
        self._late: deque[float] = deque([0.0], maxlen=_MINUTE)
        self._expected = 0  # bytes that bodies which are coming will need
        self._allowed = 0.0  # bytes; 0 is any number
        self.memory = 0  # resident bytes; 0 where the system does not tell
        self.refusal = ""

    @property
    def lag(self) -> float:
        """Seconds by which the event loop was late at worst, within the last minute."""
        return max(self._late)

    def look(self, late: float, memory: int, limits: Server) -> None:
        """What one look has found: seconds of delay, and bytes."""
        if late > _BLOCKED >= self._late[-1]:
            log.warning("event_loop_blocked", seconds=round(late, 3))
        self._late.append(late)
        self.memory = memory
        self._allowed = limits.max_memory or (container_memory() or 0) * _SHARE / limits.workers
        refusal = self._judge(limits)
        if refusal != self.refusal:
            log.warning("shedding" if refusal else "shedding_over", reason=refusal or None, memory=memory)
        self.refusal = refusal

    def refuses(self, size: int) -> str:
        """Why a request with a body of so many bytes is not taken in now; empty if it is."""
        if self.refusal or size < _LARGE or not self._allowed:
            return self.refusal
        return _NO_MEMORY if self.memory + self._expected + _COPIES * size > self._allowed else ""

    @contextmanager
    def expecting(self, size: int) -> Iterator[None]:
        """Memory that is not taken yet and will be: many uploads begin before the first has arrived."""
        self._expected += _COPIES * size
        try:
            yield
        finally:
            self._expected -= _COPIES * size

    def _judge(self, limits: Server) -> str:
        if 0 < limits.max_lag < min(list(self._late)[-_STANDING:]):
            return "The gateway cannot keep up."
        return _NO_MEMORY if 0 < self._allowed < self.memory else ""


_NO_MEMORY = "The gateway has no memory left."


@contextmanager
def watching(app: web.Application) -> Iterator[None]:
    """Looks for as long as the block lasts."""
    loop, pressure = asyncio.get_running_loop(), app[PRESSURE]
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


@cache
def container_memory(root: Path = Path("/sys/fs/cgroup"), mine: Path = Path("/proc/self/cgroup")) -> int | None:
    """Bytes that the control group (v2) of this process may use; None without a limit."""
    try:
        group = mine.read_text().partition("0::/")[2].strip()
        text = (root / group / "memory.max").read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
