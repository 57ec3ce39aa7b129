"""Background work of the database's writer, one slice at a time: no job waits for more than one slice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from llmproxy.observe.periodic import failed

Submit = Callable[[], "asyncio.Future[float | None]"]
LEAST = 0.01  # seconds between two slices


class Chores:
    """submit: queues one slice, which returns the seconds until the next; None if there is no more work."""

    def __init__(self, submit: Submit) -> None:
        self._submit = submit
        self._closed = False
        self._slice: asyncio.Future[float | None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        return self._slice is not None or self._timer is not None

    def begin(self) -> None:
        """Begins the background work, unless it is running."""
        if not self.busy and not self._closed:
            self._next()

    def close(self) -> None:
        """No further slice is begun."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        self._timer = None
        self._began = asyncio.get_running_loop().time()
        try:
            self._slice = self._submit()
        except Exception as error:  # noqa: BLE001  # the store is full: there will be another time
            failed("store_chores", error)
            return
        self._slice.add_done_callback(self._done)

    def _done(self, done: asyncio.Future[float | None]) -> None:
        self._slice = None
        if done.cancelled() or self._closed:
            return
        if (error := done.exception()) is not None:
            failed("store_chores", error)
        elif (pause := done.result()) is not None:
            loop = asyncio.get_running_loop()
            took = loop.time() - self._began  # half of the time is left for jobs
            self._timer = loop.call_later(max(pause, LEAST, took), self._next)
