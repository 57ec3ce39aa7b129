"""Clients that read streams, and how late each event came to them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .call import Asked, Call
from .frames import STAMP, Order

_STAMPED = re.compile(rb'"content": ?"(\d{%d})"' % STAMP)
_EVENT = b"data: "
_DONE = b"data: [DONE]"
TAIL = len(_DONE) + 4  # with the blank line after it
SETTLE = 0.4  # seconds after the last paced stream was started until measuring begins


@dataclass(slots=True)
class Heard:
    """What all readers of one measurement heard. `delays` are seconds from the mock's write to our read."""

    events: int = 0
    whole: int = 0  # streams that had every event and a proper end
    broken: int = 0
    delays: list[float] = field(default_factory=list)


class PacedReader(Call):
    """Reads a paced stream event by event."""

    def __init__(self, heard: Heard, expected: int) -> None:
        super().__init__()
        self._heard = heard
        self._missing = expected
        self._rest = b""
        self._done = False

    def body_came(self, body: bytes) -> None:
        now = time.monotonic_ns()
        data = self._rest + body if self._rest else body
        cut = data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
        for stamp in _STAMPED.findall(data, 0, cut):
            self._heard.delays.append((now - int(stamp)) / 1e9)
            self._heard.events += 1
            self._missing -= 1
        self._done = self._done or _DONE in data
        self._rest = data[cut:]

    def answered(self) -> None:
        if self.status == 200 and self._missing == 0 and self._done:
            self._heard.whole += 1
        self.transport.close()


class BurstReader(Call):
    """Reads a stream as fast as it comes and only counts its events."""

    def __init__(self, heard: Heard, expected: int) -> None:
        super().__init__()
        self._heard = heard
        self._expected = expected
        self._count = 0
        self._end = b""

    def body_came(self, body: bytes) -> None:
        self._count += (self._end[1 - len(_EVENT) :] + body).count(_EVENT)
        self._end = body[-TAIL:] if len(body) >= TAIL else (self._end + body)[-TAIL:]

    def answered(self) -> None:
        self._heard.events += self._count
        # Beyond the events there may be a first frame with the role, one with the finish, one with usage, and [DONE].
        if self.status == 200 and _DONE in self._end and 0 <= self._count - self._expected <= 4:
            self._heard.whole += 1
        self.transport.close()


async def _read(reader: Call, asked: Asked, request: bytes) -> None:
    try:
        await reader.open(asked.port)
    except OSError:
        return
    reader.send(request)
    try:
        await reader.ended
    finally:
        reader.transport.abort()


async def paced(
    asked: Asked, count: int, rate: int, seconds: float, ramp: float, mark: Callable[[Heard], None]
) -> Heard:
    """`count` streams of `rate` events a second, started over `ramp` seconds.

    `mark` is called when all run, and again `seconds` later. Delays are those between the marks; the streams are then
    read to their end.
    """
    events = round(rate * (ramp + seconds + 2 * SETTLE))
    heard = Heard()
    request = asked.request(Order("paced", {"n": events, "rate": rate}))

    async def one(number: int) -> None:
        await asyncio.sleep(ramp * number / count)
        await _read(PacedReader(heard, events), asked, request)

    async def marks() -> None:
        await asyncio.sleep(ramp + SETTLE)
        heard.delays.clear()
        mark(heard)
        await asyncio.sleep(seconds)
        mark(heard)
        measured.extend(heard.delays)

    measured: list[float] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(marks())
        for number in range(count):
            group.create_task(one(number))
    heard.delays = measured
    heard.broken = count - heard.whole
    return heard


async def burst(asked: Asked, concurrency: int, events: int, seconds: float, request: bytes) -> Heard:
    """`concurrency` readers, each of one stream of `events` after the other, at least one, until the time is over."""
    heard = Heard()
    deadline = time.perf_counter() + seconds
    streams = 0

    async def one() -> None:
        nonlocal streams
        while True:
            streams += 1
            await _read(BurstReader(heard, events), asked, request)
            if time.perf_counter() >= deadline:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(one())
    heard.broken = streams - heard.whole
    return heard


class Stalled(Call):
    """Asks for a long stream and then does not read it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
