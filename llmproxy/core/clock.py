"""The monotonic clock for timeouts, waits and circuit breakers: the event loop's time."""

from __future__ import annotations

import asyncio
from typing import Protocol

# A timer that fires later than this was late because the process was suspended (SIGSTOP, sleep of a laptop) or its loop
# was blocked. Data that arrived meanwhile may still be unread in a socket, so such a timer decides nothing.
LATE = 1.0


class Clock(Protocol):
    """Seconds that only increase."""

    def __call__(self) -> float: ...


def loop_time() -> float:
    """Seconds of the running event loop's clock. Raises RuntimeError outside an event loop."""
    return asyncio.get_running_loop().time()
