"""Clients that leave, in every phase of a request, and how long the provider's connection outlives them."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from .call import Asked, Call
from .frames import Order

_TAGS = itertools.count(random.randrange(1, 1 << 40))
NEVER = 3.0  # seconds after which a connection that is still open counts as never closed


@dataclass(frozen=True, slots=True)
class Phase:
    """A moment to leave in: what the provider is doing, and the events the client has seen by then."""

    name: str
    mode: str
    numbers: dict[str, int]
    events: int = 0  # read before leaving; 0 leaves once the provider has the request, after a moment


PHASES = (
    Phase("before headers", "hang", {}),
    Phase("no first frame", "silent", {}),
    Phase("silent stream", "stall", {"n": 3}, events=3),
    Phase("burst", "burst", {"n": 10_000_000}, events=200),
    Phase("not a stream", "hang", {"json": 1}),
)


class Watch(asyncio.Protocol):
    """The mock's side channel: when it saw a tagged order, and when it lost the connection under it (monotonic ns)."""

    def __init__(self) -> None:
        self._rest = b""
        self._awaited: dict[tuple[str, int], asyncio.Future[int]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(b"GET /watch HTTP/1.1\r\nHost: mock\r\n\r\n")

    def expect(self, what: str, tag: int) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._awaited[what, tag] = future
        return future

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.decode().split())

    def _line(self, words: list[str]) -> None:
        if len(words) == 3 and words[0] in ("seen", "lost"):
            future = self._awaited.pop((words[0], int(words[1])), None)
            if future is not None and not future.done():
                future.set_result(int(words[2]))


@asynccontextmanager
async def watching(mock_port: int) -> AsyncIterator[Watch]:
    transport, watch = await asyncio.get_running_loop().create_connection(Watch, "127.0.0.1", mock_port)
    try:
        await asyncio.sleep(0.05)  # the mock has to read the request before anything is worth telling
        yield watch
    finally:
        transport.abort()


class Leaver(Call):
    """A client that reads a number of events and then knows that it is time to go."""

    def __init__(self, events: int) -> None:
        super().__init__()
        self._events = events
        self._tail = b""
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def body_came(self, body: bytes) -> None:
        data = self._tail + body
        self._events -= data.count(b'"content"')
        self._tail = data[-8:]
        if self._events <= 0 and not self.ready.done():
            self.ready.set_result(None)


@dataclass(slots=True)
class Closings:
    """Seconds from a client's leaving to the end of the provider's connection; `never` were still open after NEVER."""

    delays: list[float]
    never: int = 0
    errors: int = 0


async def leave_often(asked: Asked, watch: Watch, phase: Phase, count: int, concurrency: int = 10) -> Closings:
    closings = Closings([])
    turns = asyncio.Semaphore(concurrency)

    async def one(number: int) -> None:
        async with turns:
            gone = await _leave(asked, watch, phase, rudely=number % 2 == 1)
        await _outcome(gone, closings)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))
    return closings


async def _leave(asked: Asked, watch: Watch, phase: Phase, *, rudely: bool) -> tuple[int, asyncio.Future[int]] | None:
    """One client's life; when it left, and the time that the provider will notice. None if it never got that far."""
    tag = next(_TAGS)
    seen, lost = watch.expect("seen", tag), watch.expect("lost", tag)
    client = Leaver(phase.events)
    try:
        async with asyncio.timeout(20):
            await client.open(asked.port, rudely=rudely)
            client.send(asked.request(Order(phase.mode, {**phase.numbers, "tag": tag})))
            await (client.ready if phase.events else seen)
            await asyncio.sleep(random.uniform(0.002, 0.02))
        return time.monotonic_ns(), lost  # and hangs up
    except (OSError, TimeoutError):
        return None
    finally:
        client.close()


async def _outcome(gone: tuple[int, asyncio.Future[int]] | None, closings: Closings) -> None:
    if gone is None:
        closings.errors += 1
        return
    left, lost = gone
    try:
        async with asyncio.timeout(NEVER):
            closings.delays.append(max(0.0, (await lost - left) / 1e9))
    except TimeoutError:
        closings.never += 1
