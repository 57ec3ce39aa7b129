"""The time that time-outs, waits and breakers are counted in: the event loop's, which no one sets."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Clock(Protocol):
    """Seconds that only ever grow."""

    def __call__(self) -> float: ...


def loop_time() -> float:
    return asyncio.get_running_loop().time()
