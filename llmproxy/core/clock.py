"""The monotonic clock for time-outs, waits and circuit breakers: the event loop's time."""

from __future__ import annotations

import asyncio
from typing import Protocol

# A timer that comes later than this did not run in time because the process was stopped (SIGSTOP, a laptop that slept) or its
# loop was blocked. What was to be noticed meanwhile may wait unread in a socket, so that nothing is judged by such a timer.
LATE = 1.0


class Clock(Protocol):
    """Seconds that only ever grow."""

    def __call__(self) -> float: ...


def loop_time() -> float:
    return asyncio.get_running_loop().time()
