"""How hard the process is pressed: how late its event loop is and how much memory it holds, looked at by one timer."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from aiohttp import web

from ..config import Server
from ..logs import log
from .keys import CURRENT, PRESSURE

_EVERY = 0.5  # seconds between two looks
_MINUTE = 120  # looks
_STANDING = 3  # looks in a row that must be late: one long task, or a process that was stopped, is no overload
_BLOCKED = 0.5  # seconds: a single delay that is worth a warning
_SHARE = 0.9  # of a container's memory


class Pressure:
    """`refusal` says why no further request is taken in; it is empty as long as they are."""

    def __init__(self) -> None:
        self._late: deque[float] = deque([0.0], maxlen=_MINUTE)
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
        refusal = self._judge(limits)
        if refusal != self.refusal:
            log.warning("shedding" if refusal else "shedding_over", reason=refusal or None, memory=memory)
        self.refusal = refusal

    def _judge(self, limits: Server) -> str:
        if 0 < limits.max_lag < min(list(self._late)[-_STANDING:]):
            return "The gateway cannot keep up."
        allowed = limits.max_memory or (container_memory() or 0) * _SHARE / limits.workers
        return "The gateway has no memory left." if 0 < allowed < self.memory else ""


@contextmanager
def watching(app: web.Application) -> Iterator[None]:
    """Looks for as long as the block lasts."""
    loop, pressure = asyncio.get_running_loop(), app[PRESSURE]
    handle: asyncio.TimerHandle

    def look(due: float) -> None:
        nonlocal handle
        now = loop.time()
        pressure.look(max(0.0, now - due), _resident(), app[CURRENT].config.server)
        handle = loop.call_at(now + _EVERY, look, now + _EVERY)

    look(loop.time())
    try:
        yield
    finally:
        handle.cancel()


def _resident() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@cache
def container_memory(root: Path = Path("/sys/fs/cgroup"), mine: Path = Path("/proc/self/cgroup")) -> int | None:
    """Bytes that the control group (v2) of this process may use; None without a limit."""
    try:
        group = mine.read_text().partition("0::/")[2].strip()
        text = (root / group / "memory.max").read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
