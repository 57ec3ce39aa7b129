"""The one timer of an answer: a comment when it was silent for long, and an end for a reader who does not read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType


class Beat:
    """Looks now and then at what the answer's writer left here; costs nothing while frames flow.

    silent: seconds without a write until `ping` is called (0: never). stuck: seconds one write may take until `hang_up`.
    """

    __slots__ = ("_handle", "_hang_up", "_loop", "_ping", "_pinging", "_silent", "_stuck", "last", "writing")

    def __init__(
        self, *, silent: float, ping: Callable[[], Awaitable[None]], stuck: float, hang_up: Callable[[], object]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._silent = silent
        self._stuck = stuck
        self._ping = ping
        self._hang_up = hang_up
        self._pinging: asyncio.Task[None] | None = None
        self._handle: asyncio.TimerHandle | None = None
        self.writing = False
        self.last = self._loop.time()

    async def write(self, writing: Awaitable[None]) -> None:
        """Waits for a write, knowing that it is one."""
        self.last = self._loop.time()
        self.writing = True
        try:
            await writing
        finally:
            self.writing = False

    def __enter__(self) -> Beat:
        if self._silent > 0 or self._stuck > 0:
            self._later()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.cancel()
        if self._pinging is not None and not self._pinging.done():
            self._pinging.cancel()

    def _later(self) -> None:
        limit = min(one for one in (self._silent, self._stuck) if one > 0)
        self._handle = self._loop.call_later(max(0.01, self.last + limit - self._loop.time()), self._look)

    def _look(self) -> None:
        gone = self._loop.time() - self.last
        if self.writing:
            if 0 < self._stuck <= gone:
                self._hang_up()
                return
            self._handle = self._loop.call_later(max(0.01, self._stuck - gone) if self._stuck > 0 else 1.0, self._look)
            return
        if 0 < self._silent <= gone:
            self.last = self._loop.time()
            if self._pinging is None or self._pinging.done():
                self._pinging = self._loop.create_task(self._quietly())
        self._later()

    async def _quietly(self) -> None:
        try:
            await self._ping()
        except ConnectionError:
            return  # the client left; whoever writes next, or the server, will say so
