"""Fair scheduling on a busy event loop: a limited number of requests begin in one iteration, and waiting requests alternate by
key."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Generic, Literal, Protocol, TypeVar

from aiohttp import web

from llmproxy.core.clock import loop_time
from llmproxy.core.errors import GatewayError

from ..context import ACCOUNTS, CURRENT, INTAKE, REGISTRY, TURNS
from .auth import admit
from .load_shedding import SHARE, WAITED, overloaded, shutting_down
from .routes import Handler

FEW = 16  # running requests up to which every request begins at once
AT_ONCE = 2  # requests that begin in one iteration; each takes about half a millisecond to read, route and send
REFUSED = 4  # requests that are refused in one iteration because they waited too long, and a fiftieth of all such
T = TypeVar("T")


class Turn(Protocol):
    """A request that waits: a future of its handler, or one that is not read yet (see unread.py)."""

    def done(self) -> bool: ...
    def set_result(self, result: None, /) -> None: ...
    def set_exception(self, exception: GatewayError, /) -> None: ...


class Waiting(Generic[T]):
    """The waiting requests by key. Pure: keys alternate; the requests of one key are in order of arrival."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[tuple[float, T]]] = {}  # the first key is the next
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def counts(self) -> dict[str, int]:
        """How many requests of each key wait."""
        return {owner: len(line) for owner, line in self._lines.items()}

    def add(self, owner: str, one: T, now: float) -> None:
        self._lines.setdefault(owner, deque()).append((now, one))
        self._count += 1

    def remove(self, owner: str, one: T) -> None:
        """Removes a request that no longer waits; it may have begun already."""
        if (line := self._lines.get(owner)) is not None:
            kept = self._lines[owner] = deque(pair for pair in line if pair[1] is not one)
            self._count -= len(line) - len(kept)
            self._forget_empty(owner)

    def remove_newest_of_longest(self, above: int) -> T | None:
        """Removes the newest request of the key with the most waiting requests, if these are more than `above`."""
        owner = max(self._lines, key=lambda one: len(self._lines[one]), default=None)
        if owner is None or len(self._lines[owner]) <= above:
            return None
        _, newest = self._lines[owner].pop()
        self._count -= 1
        self._forget_empty(owner)
        return newest

    def next(self) -> T | None:
        if not self._lines:
            return None
        owner, line = next(iter(self._lines.items()))
        del self._lines[owner]
        _, one = line.popleft()
        self._count -= 1
        if line:
            self._lines[owner] = line
        return one

    def since_before(self, time: float) -> list[T]:
        """Removes and returns the requests that have waited since before this time."""
        late: list[T] = []
        for owner, line in list(self._lines.items()):
            while line and line[0][0] < time:
                late.append(line.popleft()[1])
            self._forget_empty(owner)
        self._count -= len(late)
        return late

    def _forget_empty(self, owner: str) -> None:
        if not self._lines[owner]:
            del self._lines[owner]


async def handle_in_turn(handler: Handler, request: web.Request) -> web.StreamResponse:
    """Waits, then calls the handler. While it waits the request has no task: a cancel by its ID lets it begin, and stops it then.

    Raises GatewayError: 503 if it waited too long, 401 if its key was revoked meanwhile.
    """
    app, intake = request.app, request[INTAKE]
    owner = intake.key.name
    turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with app[REGISTRY].arriving(intake.id, owner, partial(_begin, turn)):
        await app[TURNS].wait(owner, app[CURRENT].config.server.max_lag, turn)
        admit(request, intake.route, app[ACCOUNTS].keys, app[CURRENT].config)
        return await handler(request)


def _begin(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


class Turns:
    """Decides which requests begin. Costs one comparison while few requests run.

    Without it a thousand simultaneous requests would all begin. Each would wait for all the others, of any key, and none could
    be refused after waiting too long.
    """

    def __init__(self) -> None:
        self._left = AT_ONCE
        self._waiting: Waiting[Turn] = Waiting()
        self._late: deque[Turn] = deque()  # to be refused
        self._patience = 0.0
        self.verdicts: dict[
            object, GatewayError | Literal[True]
        ] = {}  # by connection: its request begins, or is refused
        self.busy = False  # whether requests wait, or began in this iteration or the last one

    def __len__(self) -> int:
        return len(self._waiting) + len(self._late)

    def counts(self) -> dict[str, int]:
        """How many requests of each key wait."""
        return self._waiting.counts()

    def refuse_newest_of_longest(self, above: int) -> bool:
        """Refuses a waiting request of the key that has most of them, if these are more than `above`; whether there was one."""
        while (newest := self._waiting.remove_newest_of_longest(above)) is not None:
            if not newest.done():
                newest.set_exception(overloaded(SHARE))
                return True
        return False

    def refuse_all(self) -> None:
        """Refuses all waiting requests, because the process ends."""
        late, self._late = self._late, deque()
        for turn in (*late, *self._waiting.since_before(float("inf"))):
            if not turn.done():
                turn.set_exception(shutting_down())

    def begins(self, inside: int) -> bool:
        """Whether a request may begin at once. inside: the number of running requests."""
        if inside < FEW and not self._waiting:
            return True
        if self._left <= 0 or self._waiting:
            return False
        self._left -= 1
        self._arm()
        return True

    async def wait(self, owner: str, patience: float, turn: asyncio.Future[None]) -> None:
        """Waits until the request may begin. patience: seconds; 0: no limit. Raises GatewayError (503) after that."""
        self._patience = patience
        self._waiting.add(owner, turn, loop_time())
        self._arm()
        try:
            await turn
        except asyncio.CancelledError:  # the client disconnected
            self._waiting.remove(owner, turn)
            raise

    def hold(self, owner: str, turn: Turn, patience: float, most: int) -> None:
        """Adds a request that is not read yet. If more than `most` wait, the newest of the key with most of them is refused."""
        self._patience = patience
        self._waiting.add(owner, turn, loop_time())
        if len(self._waiting) > most and (newest := self._waiting.remove_newest_of_longest(0)) is not None:
            self._late.append(newest)
        self._arm()

    def leave(self, owner: str, turn: Turn) -> None:
        """The client of a request that is not read yet has disconnected."""
        self._waiting.remove(owner, turn)

    def _arm(self) -> None:
        if not self.busy:
            self.busy = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self.busy = False
        began_last, self._left = self._left < AT_ONCE, AT_ONCE
        try:
            self._begin_some()
            self._refuse_late()
        finally:
            if self._waiting or self._late or began_last or self._left < AT_ONCE:
                self._arm()

    def _begin_some(self) -> None:
        while self._left and (turn := self._waiting.next()) is not None:
            if not turn.done():
                self._left -= 1
                turn.set_result(None)
        if self._patience > 0:  # only now: where an iteration takes longer than that, some must begin nevertheless
            self._late.extend(self._waiting.since_before(loop_time() - self._patience))

    def _refuse_late(self) -> None:
        left = REFUSED + len(self._late) // 50
        while self._late and left:
            if not (turn := self._late.popleft()).done():
                turn.set_exception(overloaded(WAITED))
                left -= 1
