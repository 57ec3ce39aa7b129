"""A fair share of a busy event loop: so many requests begin in one turn of it, and those that wait for theirs take turns by key."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from llmproxy.core.clock import loop_time

from .load_shedding import overloaded

AT_ONCE = 4  # requests that begin in one turn: reading, routing and asking takes about a millisecond of each
T = TypeVar("T")


class Waiting(Generic[T]):
    """Who waits, by key. Pure: each key in turn, those of one key as they came."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[tuple[float, T]]] = {}  # the first key is the next

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, owner: str, one: T, now: float) -> None:
        self._lines.setdefault(owner, deque()).append((now, one))

    def remove(self, owner: str, one: T) -> None:
        """One that waits no longer. It may have had its turn already."""
        if (line := self._lines.get(owner)) is not None:
            self._lines[owner] = deque(pair for pair in line if pair[1] is not one)
            self._forget_empty(owner)

    def next(self) -> T | None:
        if not self._lines:
            return None
        owner, line = next(iter(self._lines.items()))
        del self._lines[owner]
        _, one = line.popleft()
        if line:
            self._lines[owner] = line
        return one

    def since_before(self, time: float) -> list[T]:
        """Takes out those that have waited since before then."""
        late: list[T] = []
        for owner, line in list(self._lines.items()):
            while line and line[0][0] < time:
                late.append(line.popleft()[1])
            self._forget_empty(owner)
        return late

    def _forget_empty(self, owner: str) -> None:
        if not self._lines[owner]:
            del self._lines[owner]


class Turns:
    """Costs a comparison where fewer than `at_once` begin in one turn of the loop.

    Without it the requests of a key that floods, a thousand connections at once, would all begin before another key's.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = self._left = at_once
        self._waiting: Waiting[asyncio.Future[None]] = Waiting()
        self._patience = 0.0
        self._armed = False

    def begins(self) -> bool:
        """Whether a request may begin at once; else it is to wait."""
        if self._left <= 0 or self._waiting:
            return False
        self._left -= 1
        self._arm()
        return True

    async def wait(self, owner: str, patience: float) -> None:
        """Until its turn comes. patience: seconds; 0 is any time. Raises GatewayError (503) after that."""
        self._patience = patience
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(owner, turn, loop_time())
        self._arm()
        try:
            await turn
        except asyncio.CancelledError:  # its client has left
            self._waiting.remove(owner, turn)
            raise

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._armed = False
        began_last, self._left = self._left < self._at_once, self._at_once
        if self._patience > 0:
            for late in self._waiting.since_before(loop_time() - self._patience):
                if not late.done():
                    late.set_exception(overloaded("The gateway cannot keep up.", {}, code="overloaded"))
        while self._left and (turn := self._waiting.next()) is not None:
            if not turn.done():
                turn.set_result(None)
                self._left -= 1
        if self._waiting or began_last or self._left < self._at_once:
            self._arm()
