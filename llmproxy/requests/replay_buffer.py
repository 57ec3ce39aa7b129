"""Buffer of a request's events for resume, limited in bytes; each reader has its own position and never blocks the writer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Self

from llmproxy.core.replay import Gone, Piece, Shelf


class ReplayBuffer:
    """Events numbered 1, 2, 3, ... Beyond `max_bytes` or `max_events` the oldest are forgotten, here: a shelf may have them.

    Writing never waits. A reader costs its position and one block; if it falls behind what is kept, it meets Gone.
    """

    def __init__(
        self, max_bytes: int = 4 * 1024 * 1024, max_events: int = 100_000, *, shelf: Shelf | None = None
    ) -> None:
        self.max_bytes = max_bytes
        self.max_events = max_events
        self.shelf = shelf
        self.size = 0  # bytes kept
        self.written = 0  # bytes ever
        self.closed = False
        self._events: list[bytes] = []
        self._first = 0  # where in the list the kept part begins: a list is not cut at its front for every event
        self._forgotten = 0  # ids that lie before the list
        self._more = asyncio.Event()

    @classmethod
    def shelved(cls, shelf: Shelf, newest: int) -> Self:
        """One of which nothing is in memory any more."""
        buffer = cls(shelf=shelf)
        buffer._forgotten = newest
        return buffer

    @property
    def oldest(self) -> int:
        """The first id that is kept; newest + 1 where none is."""
        return self._forgotten + self._first + 1

    @property
    def newest(self) -> int:
        return self._forgotten + len(self._events)

    def append(self, event: bytes) -> int:
        """Takes one whole event and gives its id."""
        if self.closed:
            raise ValueError("the tape is closed")
        self._events.append(event)
        self.size += len(event)
        self.written += len(event)
        self._forget()
        self._more.set()
        return self.newest

    def close(self) -> None:
        """No further event will come; readers end after the last."""
        self.closed = True
        self._more.set()

    def check(self, after: int) -> None:
        """Raises Gone if the events after `after` are not all kept."""
        if after + 1 < self.oldest:
            raise Gone(self.oldest)

    def take(self, after: int, size: int = 65_536) -> tuple[int, bytes]:
        """As many events after `after` as make up `size` bytes, at least one: the last one's id, and their bytes.

        Nothing new: `(after, b"")`.
        """
        self.check(after)
        taken: list[bytes] = []
        length = 0
        for at in range(after - self._forgotten, len(self._events)):
            taken.append(self._events[at])
            length += len(self._events[at])
            if length >= size:
                break
        return after + len(taken), b"".join(taken)

    async def fetch(self, after: int, size: int = 65_536) -> tuple[int, bytes]:
        """As `take`, from the shelf too."""
        if after + 1 >= self.oldest or self.shelf is None:
            return self.take(after, size)
        position, block = await self.shelf.take(after, size)
        if position == after:
            raise Gone(self.oldest)
        return position, block

    async def blocks(self, after: int, live: bool = True) -> AsyncIterator[bytes]:
        """All events after `after`, many at a time; live: until the replay buffer is closed, else those there are.

        Raises Gone where they are not all kept.
        """
        while True:
            after, block = await self.fetch(after)
            if block:
                yield block
            elif self.closed or not live:
                return
            else:
                await self.more(after)

    def pieces(self, after: int) -> Iterator[Piece]:
        """What is in memory of the events after `after`."""
        after = max(after, self.oldest - 1)
        while after < self.newest:
            last, events = self.take(after)
            yield Piece(after + 1, last, events)
            after = last

    def drop(self) -> None:
        """Keeps no more than the last event from now on."""
        self.max_bytes = 0
        self._forget()

    async def more(self, after: int) -> None:
        """Waits until there is an event after `after`, or none will come."""
        while self.newest <= after and not self.closed:
            self._more.clear()  # safe with several readers: set() has woken all who waited, each looks again
            await self._more.wait()

    async def read(self, after: int = 0) -> AsyncIterator[tuple[int, bytes]]:
        """Every event after `after` with its id: the kept ones, then live ones until the replay buffer is closed."""
        while True:
            self.check(after)
            await self.more(after)
            position, event = self.take(after, 1)
            if position == after:
                return
            after = position
            yield after, event

    def _forget(self) -> None:
        kept = len(self._events) - self._first
        while kept > 1 and (self.size > self.max_bytes or kept > self.max_events):
            self.size -= len(self._events[self._first])
            self._events[self._first] = b""
            self._first += 1
            kept -= 1
        if self._first > 64 and self._first > kept:
            del self._events[: self._first]
            self._forgotten += self._first
            self._first = 0
