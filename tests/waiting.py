"""Waiting for a condition of another process or socket: there is no event to wait for, so it is asked again until it holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 20.0  # seconds until a test gives up; nothing is asserted about it
_AGAIN = 0.01


async def soon(look: Callable[[], Awaitable[T | None]], seconds: float = PATIENCE, every: float = _AGAIN) -> T:
    """What `look` gives once that is anything. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (found := await look()):  # noqa: ASYNC110
            await asyncio.sleep(every)
        return found


def until(look: Callable[[], T | None], what: str = "what was waited for", seconds: float = PATIENCE) -> T:
    """The same where nothing else runs meanwhile. Raises AssertionError."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(_AGAIN)
    return found
