"""Per-response timer: sends keep-alives on silence, and disconnects readers that stall."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType

from llmproxy.core.clock import LATE


class KeepAlive:
    """Looks now and then at what the answer's writer left here; costs nothing while frames flow.

    silent: seconds without a write until `ping` is called (0: never). stuck: seconds in which a reader who is being
    written to must take something, until `hang_up`. unsent: bytes that it has yet to take; without it one write must be
    over in that time.
    """

    __slots__ = (
        "_before", "_handle", "_hang_up", "_loop", "_ping", "_pinging", "_silent", "_stuck", "_unsent", "last", "writing",
    )  # fmt: skip

    def __init__(
        self,
        *,
        silent: float,
        ping: Callable[[], Awaitable[None]],
        stuck: float,
        hang_up: Callable[[], object],
        unsent: Callable[[], int] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._silent = silent
        self._stuck = stuck
        self._ping = ping
        self._hang_up = hang_up
        self._unsent = unsent
        self._before: int | None = None  # what was unsent at the last look at the write that goes on
        self._pinging: asyncio.Task[None] | None = None
        self._handle: asyncio.TimerHandle | None = None
        self.writing = False
        self.last = self._loop.time()

    async def write(self, writing: Awaitable[None]) -> None:
        """Waits for a write, knowing that it is one."""
        self.last = self._loop.time()
        self.writing, self._before = True, None
        try:
            await writing
        finally:
            self.writing = False

    def __enter__(self) -> KeepAlive:
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
        """Aims at what comes first: the next ping, or the next look for a write that hangs."""
        left = self.last + self._silent - self._loop.time() if self._silent > 0 else self._stuck / 4
        if 0 < self._stuck / 4 < left:
            left = self._stuck / 4
        self._handle = self._loop.call_later(max(0.01, left), self._look)

    def _look(self) -> None:
        if self.writing:
            self._look_at_reader()
            return
        if 0 < self._silent <= self._loop.time() - self.last:
            self.last = self._loop.time()
            if self._pinging is None or self._pinging.done():
                self._pinging = self._loop.create_task(self._quietly())
        self._later()

    def _look_at_reader(self) -> None:
        if self._handle is not None and self._loop.time() - self._handle.when() > LATE:
            self.last = self._loop.time()
        if self._unsent is not None:
            unsent, before = self._unsent(), self._before
            self._before = unsent
            if before is not None and unsent < before:  # slow, but it reads
                self.last = self._loop.time()
        if 0 < self._stuck <= self._loop.time() - self.last:
            self._hang_up()
            return
        self._handle = self._loop.call_later(max(0.01, self._stuck / 4) if self._stuck > 0 else 1.0, self._look)

    async def _quietly(self) -> None:
        try:
            await self._ping()
        except ConnectionError:
            return  # the client left; whoever writes next, or the server, will say so
