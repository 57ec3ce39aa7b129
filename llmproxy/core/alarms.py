"""Many alarms with one timer of the event loop. A timer for each request costs more than all else the request does with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush

_SPARE = 1000  # cancelled alarms that are kept in any case
_EARLY = 0.001  # seconds: uvloop's clock has only milliseconds


class Alarm:
    """One call at one time. `when`: on the event loop's clock."""

    __slots__ = ("_of", "call", "when")

    def __init__(self, of: Alarms, when: float, call: Callable[[], object]) -> None:
        self._of = of
        self.when = when
        self.call: Callable[[], object] | None = call  # None once it was called or cancelled

    def cancel(self) -> None:
        if self.call is not None:
            self.call = None
            self._of.lost_one()


class Alarms:
    """The alarms of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._heap: list[tuple[float, int, Alarm]] = []
        self._count = 0  # alarms of the same time ring in their order
        self._cancelled = 0  # in the heap
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0  # when the timer fires

    def set(self, when: float, call: Callable[[], object]) -> Alarm:
        """`call` is called at that time or a little later, unless the alarm is cancelled."""
        alarm = Alarm(self, when, call)
        self._count += 1
        heappush(self._heap, (when, self._count, alarm))
        if self._timer is None or when < self._next:
            self._wind(when)
        return alarm

    def lost_one(self) -> None:
        """An alarm was cancelled. It is removed at its time, or when most alarms are cancelled ones."""
        self._cancelled += 1
        if self._cancelled > _SPARE + len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[2].call is not None]
            heapify(self._heap)
            self._cancelled = 0

    def _wind(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._next = self.loop.call_at(when, self._ring), when

    def _ring(self) -> None:
        self._timer = None
        due = self.loop.time() + _EARLY
        while self._heap and (self._heap[0][0] <= due or self._heap[0][2].call is None):
            alarm = heappop(self._heap)[2]
            call, alarm.call = alarm.call, None
            if call is None:
                self._cancelled -= 1
                continue
            try:
                call()
            except Exception as error:  # noqa: BLE001  # the others ring nevertheless
                self.loop.call_exception_handler({"message": "An alarm failed.", "exception": error})
        if self._heap and (self._timer is None or self._heap[0][0] < self._next):
            self._wind(self._heap[0][0])


_of_last: Alarms | None = None


def alarms(loop: asyncio.AbstractEventLoop) -> Alarms:
    """Those of the running event loop."""
    global _of_last  # noqa: PLW0603  # a process has one event loop; one after the other in tests
    found = _of_last
    if found is None or found.loop is not loop:
        found = _of_last = Alarms(loop)
    return found
