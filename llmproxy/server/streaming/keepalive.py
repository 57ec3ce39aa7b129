"""Per-response timer: sends keep-alives on silence, and disconnects clients that do not read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from llmproxy.core.alarms import Alarm, alarms
from llmproxy.core.clock import LATE


class Client(Protocol):
    """The client of an answer. One object, because three functions for each open stream would take 400 bytes."""

    def ping(self) -> Awaitable[None]:
        """Sends a keep-alive."""
        ...

    def hang_up(self) -> object:
        """It stopped reading."""
        ...

    def unsent(self) -> int:
        """The bytes that it has not received yet."""
        ...


@dataclass(frozen=True, slots=True)
class Calls:
    """A Client of single functions."""

    ping: Callable[[], Awaitable[None]]
    hang_up: Callable[[], object]
    unsent: Callable[[], int]


class KeepAlive:
    """Checks periodically what the writer of the answer noted here; costs nothing while frames are written.

    silent: seconds without a write until the client's `ping` is called (0: never). stuck: seconds in which a client must read
    something during a write, until its `hang_up` is called.
    """

    __slots__ = (
        "_alarm", "_before", "_client", "_loop", "_pinging", "_silent", "_stuck", "last", "writing",
    )  # fmt: skip

    def __init__(self, client: Client, *, silent: float, stuck: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._silent = silent
        self._stuck = stuck
        self._before: int | None = None  # `unsent` at the last check of the current write
        self._pinging: asyncio.Task[None] | None = None
        self._alarm: Alarm | None = None
        self.writing = False
        self.last = self._loop.time()

    async def write(self, writing: Awaitable[None]) -> None:
        """Waits for a write, and marks it as running."""
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
        if self._alarm is not None:
            self._alarm.cancel()
        if self._pinging is not None and not self._pinging.done():
            self._pinging.cancel()

    def _later(self) -> None:
        """Schedules the next event: a ping, or a check of a write that does not end."""
        left = self.last + self._silent - self._loop.time() if self._silent > 0 else self._stuck / 4
        if 0 < self._stuck / 4 < left:
            left = self._stuck / 4
        self._set(left)

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
        if self._alarm is not None and self._loop.time() - self._alarm.when > LATE:
            self.last = self._loop.time()
        unsent, before = self._client.unsent(), self._before
        self._before = unsent
        if before is not None and unsent < before:  # slow, but it reads
            self.last = self._loop.time()
        if 0 < self._stuck <= self._loop.time() - self.last:
            self._client.hang_up()
            return
        self._set(self._stuck / 4 if self._stuck > 0 else 1.0)

    def _set(self, seconds: float) -> None:
        self._alarm = alarms(self._loop).set(self._loop.time() + max(0.01, seconds), self._look)

    async def _quietly(self) -> None:
        try:
            await self._client.ping()
        except ConnectionError:
            return  # the client disconnected; the next write, or the server, reports it
