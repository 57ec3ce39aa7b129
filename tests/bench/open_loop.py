"""Requests that arrive whether or not earlier ones were answered, at random moments (Poisson), over connections that are kept."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from .call import Asked, Call

CONNECTIONS = 4000  # at most; a request that finds none free counts as an error


@dataclass(slots=True)
class Arrivals:
    """What became of all requests of one load. Latencies in seconds; `refused` are 503s, `errors` all that is neither."""

    asked: int = 0
    answers: int = 0
    refused: int = 0
    errors: int = 0
    latencies: list[float] = field(default_factory=list)
    last: asyncio.Event = field(default_factory=asyncio.Event)  # set by the end of the last that is to come

    def ended(self, status: int, took: float) -> None:
        if status == 200:
            self.answers += 1
            self.latencies.append(took)
        elif status == 503:
            self.refused += 1
        else:
            self.errors += 1
        if self.left == 0:
            self.last.set()

    @property
    def left(self) -> int:
        return self.asked - self.answers - self.refused - self.errors


class _Kept(Call):
    """A connection that answers one request after another, and is free in between."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load
        self._sent = 0.0
        self._found = load.found

    def ask(self, request: bytes, found: Arrivals) -> None:
        self._found = found
        self._sent = time.perf_counter()
        self.send(request)

    def answered(self) -> None:
        self._found.ended(self.status, time.perf_counter() - self._sent)
        self._load.free.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self.pending:
            self.pending = False
            self._found.ended(0, 0.0)
        super().connection_lost(error)


class Load:
    """One stream of arrivals at one gateway."""

    def __init__(self, asked: Asked, request: bytes, seed: int = 1) -> None:
        self.found = Arrivals()
        self.free: list[_Kept] = []
        self._asked, self._request = asked, request
        self._open = 0
        self._dice = random.Random(seed)
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self, rate: float, seconds: float, patience: float = 10.0) -> Arrivals:
        """So many requests a second; returns when all are answered, or after `patience` seconds more."""
        self.found = found = Arrivals()
        begun = time.perf_counter()
        for moment in self._moments(rate, seconds):
            if (wait := begun + moment - time.perf_counter()) > 0.0005:
                await asyncio.sleep(wait)
            self._ask()
            if found.asked % 50 == 0:
                await asyncio.sleep(0)  # answers are read although we are late
        if found.left:
            found.last.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await found.last.wait()
        found.errors += found.left
        return found

    def close(self) -> None:
        for task in self._opening:
            task.cancel()
        for call in self.free:
            call.close()

    def _moments(self, rate: float, seconds: float) -> Iterator[float]:
        moment = 0.0
        while (moment := moment + self._dice.expovariate(rate)) < seconds:
            yield moment

    def _ask(self) -> None:
        self.found.asked += 1
        while self.free:
            call = self.free.pop()
            if not call.ended.done() and not call.transport.is_closing():
                call.ask(self._request, self.found)
                return
            self._open -= 1
        if self._open >= CONNECTIONS:
            self.found.ended(0, 0.0)
            return
        self._open += 1
        task = asyncio.ensure_future(self._connect(self.found))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, found: Arrivals) -> None:
        call = _Kept(self)
        try:
            await call.open(self._asked.port)
        except OSError:
            self._open -= 1
            found.ended(0, 0.0)
            return
        call.ask(self._request, found)
