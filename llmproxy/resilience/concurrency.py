"""Concurrency limit and waiting queue of a provider."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llmproxy.core.chat import Chat
from llmproxy.core.errors import Saturated
from llmproxy.core.opener import Opener, Reply

_KEYS = 1000  # keys whose last turn is remembered


class ConcurrencyOpener:
    """Limits the requests at once; the others wait, at most `queue` of them.

    Keys take turns, so that a key with many waiting requests does not block the others; requests of one key are first come,
    first served.
    """

    def __init__(self, inner: Opener, places: Places) -> None:
        self._inner = inner
        self.places = places

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        await self.places.acquire(chat)
        try:
            async with self._inner.open(chat) as reply:
                yield reply
        finally:
            self.places.release()


class Places:
    """The places of a provider and its queue. They are kept when the configuration changes: running requests keep their places."""

    def __init__(self, *, at_once: int, queue: int, wait: float) -> None:
        self._at_once = self._free = at_once
        self._queue = queue
        self._wait = wait
        self._waiting: deque[tuple[asyncio.Future[None], Chat]] = deque()
        self._served: dict[str, int] = {}  # owner: number of the turn when one of its requests was last admitted
        self._turns = 0

    def resize(self, *, at_once: int, queue: int, wait: float) -> None:
        """Sets other limits. If there are fewer places, they are reached as requests end."""
        self._free += at_once - self._at_once
        self._at_once, self._queue, self._wait = at_once, queue, wait
        while self._free > 0 and self._waiting:
            self._free -= 1
            self.release()

    @property
    def queued(self) -> int:
        return len(self._waiting)

    async def acquire(self, chat: Chat) -> None:
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return
        if len(self._waiting) >= self._queue:
            raise Saturated("Too many requests are waiting for this provider.", headers={"Retry-After": "1"})
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, chat))
        self._number()
        loop = asyncio.get_running_loop()
        began = loop.time()
        wait = chat.trace.wait_for("queue")
        try:
            async with asyncio.timeout(self._wait):
                await turn
        except TimeoutError as error:
            self._leave(turn, chat)
            raise Saturated(
                "The wait for this provider was too long.", status=503, headers={"Retry-After": "5"}
            ) from error
        except asyncio.CancelledError:
            self._leave(turn, chat)
            raise
        finally:
            chat.trace.position = None
            chat.trace.waited(loop.time() - began)
            wait.end()

    def _leave(self, turn: asyncio.Future[None], chat: Chat) -> None:
        if turn.done() and not turn.cancelled():  # it was just admitted: pass the place on
            self.release()
        elif (turn, chat) in self._waiting:
            self._waiting.remove((turn, chat))
            self._number()

    def release(self) -> None:
        if self._free < 0:  # there are fewer places now, so this one is not reused
            self._free += 1
            return
        while self._waiting:
            turn = self._next()
            if not turn.done():
                turn.set_result(None)
                self._number()
                return
        self._free += 1

    def _next(self) -> asyncio.Future[None]:
        """Admits the first waiting request of the key whose last turn is longest ago."""
        served = self._served
        at = min(range(len(self._waiting)), key=lambda at: served.get(self._waiting[at][1].trace.owner, -1))
        turn, chat = self._waiting[at]
        del self._waiting[at]
        self._turns += 1
        served[chat.trace.owner] = self._turns
        if len(served) > _KEYS:
            waiting = {one.trace.owner for _, one in self._waiting}
            self._served = {owner: when for owner, when in served.items() if owner in waiting}
        return turn

    def _number(self) -> None:
        for position, (_, chat) in enumerate(self._waiting, 1):
            if chat.trace.position != position:
                chat.trace.position = position
                chat.trace.step("enqueue")
