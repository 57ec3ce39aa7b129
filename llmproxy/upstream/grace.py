"""Short wait after the provider's last content, for its usage and the end of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from llmproxy.core.errors import UpstreamError

from .idle_timer import IdleTimer


class Grace:
    """Comments do not extend the wait; a connection that breaks during it is not a failure."""

    __slots__ = ("_idle_timer", "_seconds", "_until")

    def __init__(self, idle_timer: IdleTimer) -> None:
        self._idle_timer = idle_timer
        self._seconds = 0.0
        self._until = 0.0

    async def next(self, pieces: AsyncIterator[bytes], seconds: float) -> bytes | None:
        """The next piece; None if there is none within the rest of `seconds`. The wait begins again if `seconds` changes."""
        if seconds != self._seconds:
            self._seconds, self._until = seconds, asyncio.get_running_loop().time() + seconds
        self._idle_timer.watching = False
        try:
            async with asyncio.timeout_at(self._until):
                return await anext(pieces, None)
        except (TimeoutError, UpstreamError):
            return None
        finally:
            self._idle_timer.watching = True

    def anew(self) -> None:
        """Starts the wait again, because more of the answer has arrived."""
        self._seconds = 0.0
