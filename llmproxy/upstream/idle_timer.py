"""Idle timeout with one timer that is not rescheduled per event."""

from __future__ import annotations

import asyncio
from types import TracebackType

from llmproxy.core.clock import LATE
from llmproxy.core.flight import SILENCE, Gaps


class IdleTimer:
    """Cancels the current task when `limit` seconds pass without progress, and turns that cancel into TimeoutError.

    Progress is told with `moved()`; `watching = False` while somebody else is to be waited for. Unlike asyncio.timeout,
    whose every reschedule is a new timer, this looks at the clock once per limit. A limit may be made shorter on the way.
    """

    _handle: asyncio.TimerHandle

    __slots__ = ("_cancelling", "_handle", "_last", "_limit", "_loop", "_task", "fired", "gaps", "watching")

    def __init__(self, limit: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self.fired = False
        self.watching = True
        self.gaps: Gaps | None = None  # where silences are noted, from when it is set
        self._last = self._loop.time()

    def moved(self) -> None:
        """Something came: the limit begins anew."""
        now = self._loop.time()
        if now - self._last > SILENCE and self.gaps is not None:
            self.gaps.add(now - self._last)
        self._last = now

    def limit(self, seconds: float) -> None:
        """Another limit, from now on."""
        self.moved()
        if seconds < self._limit:
            self._handle.cancel()
            self._handle = self._loop.call_later(seconds, self._look)
        self._limit = seconds

    def __enter__(self) -> IdleTimer:
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
        if self.fired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _look(self) -> None:
        now = self._loop.time()
        if not self.watching or now - self._handle.when() > LATE:
            self._last = now
        left = self._last + self._limit - now
        if left > 0:
            self._handle = self._loop.call_later(left, self._look)
            return
        self.fired = True
        self._task.cancel()
