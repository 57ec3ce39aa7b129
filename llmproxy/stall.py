"""One timer that notices when nothing moves any more, without being touched each time something does."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Stall:
    """Cancels the current task when `limit` seconds pass without progress, and turns that cancel into TimeoutError.

    Progress is the assignment of `last`; `watching = False` while somebody else is to be waited for. Unlike
    asyncio.timeout, whose every reschedule is a new timer, this looks at the clock once per limit.
    """

    __slots__ = ("_cancelling", "_fired", "_handle", "_limit", "_loop", "_task", "last", "watching")

    def __init__(self, limit: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._fired = False
        self.watching = True
        self.last = self._loop.time()

    def now(self) -> float:
        return self._loop.time()

    def __enter__(self) -> Stall:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._handle = self._loop.call_later(self._limit, self._look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.cancel()
        # Somebody else's cancel that came in the same tick is kept: then cancelling() is still above what it was.
        if self._fired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _look(self) -> None:
        now = self._loop.time()
        if not self.watching:
            self.last = now
        left = self.last + self._limit - now
        if left > 0:
            self._handle = self._loop.call_later(left, self._look)
            return
        self._fired = True
        self._task.cancel()
