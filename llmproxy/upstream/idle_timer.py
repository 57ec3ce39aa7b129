"""Idle timeout whose alarm is not set again for each event."""

from __future__ import annotations

import asyncio
from types import TracebackType

from llmproxy.core.alarms import Alarm, alarms
from llmproxy.core.clock import LATE
from llmproxy.core.flight import SILENCE, Gaps


class IdleTimer:
    """Cancels the current task when `limit` seconds pass without progress, and turns that cancel into TimeoutError.

    Call `moved()` on progress; set `watching = False` while waiting for something else. asyncio.timeout would make a new timer at
    each reschedule; this one checks the clock once per limit. The limit may be shortened while it runs.
    """

    _alarm: Alarm

    __slots__ = ("_alarm", "_cancelling", "_last", "_limit", "_loop", "_task", "fired", "gaps", "watching")

    def __init__(self, limit: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self.fired = False
        self.watching = True
        self.gaps: Gaps | None = None  # records gaps between events, once it is set
        self._last = self._loop.time()

    def moved(self) -> None:
        """Progress: the limit starts again."""
        now = self._loop.time()
        if now - self._last > SILENCE and self.gaps is not None:
            self.gaps.add(now - self._last)
        self._last = now

    def limit(self, seconds: float) -> None:
        """Sets another limit, from now on."""
        self.moved()
        if seconds < self._limit:
            self._alarm.cancel()
            self._set(seconds)
        self._limit = seconds

    def __enter__(self) -> IdleTimer:
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._set(self._limit)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._alarm.cancel()
        # Another cancel in the same iteration must not be lost: then cancelling() is still higher than before.
        if self.fired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _set(self, seconds: float) -> None:
        self._alarm = alarms(self._loop).set(self._loop.time() + seconds, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if not self.watching or now - self._alarm.when > LATE:
            self._last = now
        left = self._last + self._limit - now
        if left > 0:
            self._set(left)
            return
        self.fired = True
        self._task.cancel()
