"""Buffer of a request's events for resume, limited in bytes; each reader has its own position and never blocks the writer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Self

from llmproxy.core.replay import Gone, Piece, StoredEvents


class ReplayBuffer:
    """Events numbered 1, 2, 3, ... Above `max_bytes` or `max_events` the oldest are removed; they may still be in the storage.

    Writing never waits. A reader needs only its position and one block; if its next events were removed, it gets Gone.
    """

    def __init__(
        self, max_bytes: int = 4 * 1024 * 1024, max_events: int = 100_000, *, stored: StoredEvents | None = None
    ) -> None:
        self.max_bytes = max_bytes
        self.max_events = max_events
        self.stored = stored
        self.size = 0  # bytes stored now
        self.written = 0  # bytes written in all
        self.closed = False
        self._events: list[bytes] = []
        self._first = 0  # index of the first stored event: the list is not cut at its front for every event
        self._forgotten = 0  # number of events removed from the list
        self._more = asyncio.Event()

    @classmethod
    def from_store(cls, stored: StoredEvents, newest: int) -> Self:
        """A buffer whose events are all in the storage, none in memory."""
        buffer = cls(stored=stored)
        buffer._forgotten = newest
        return buffer

    @property
    def oldest(self) -> int:
        """The ID of the first stored event; newest + 1 if there is none."""
        return self._forgotten + self._first + 1

    @property
    def newest(self) -> int:
        return self._forgotten + len(self._events)

    def append(self, event: bytes) -> int:
        """Appends one whole event and returns its ID."""
        if self.closed:
            raise ValueError("the tape is closed")
        self._events.append(event)
        self.size += len(event)
        self.written += len(event)
        self._forget()
        self._more.set()
        return self.newest

    def close(self) -> None:
        """No further event will come; readers end after the last one."""
        self.closed = True
        self._more.set()

    def check(self, after: int) -> None:
        """Raises Gone if not all events after `after` are stored."""
        if after + 1 < self.oldest:
            raise Gone(self.oldest)

    def take(self, after: int, size: int = 65_536) -> tuple[int, bytes]:
        """Events after `after` up to `size` bytes, at least one: the ID of the last one, and their bytes.

        Without new events: `(after, b"")`.
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
        """As `take`, also from the storage."""
        if after + 1 >= self.oldest or self.stored is None:
            return self.take(after, size)
        position, block = await self.stored.take(after, size)
        if position == after:
            raise Gone(self.oldest)
        return position, block

    async def blocks(self, after: int, live: bool = True) -> AsyncIterator[bytes]:
        """All events after `after`, in blocks; live: until the buffer is closed, otherwise those that exist now.

        Raises Gone if not all of them are stored.
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
        """The events after `after` that are in memory."""
        after = max(after, self.oldest - 1)
        while after < self.newest:
            last, events = self.take(after)
            yield Piece(after + 1, last, events)
            after = last

    def drop(self) -> None:
        """From now on stores only the last event."""
        self.max_bytes = 0
        self._forget()

    async def more(self, after: int) -> None:
        """Waits until there is an event after `after`, or the buffer is closed."""
        while self.newest <= after and not self.closed:
            self._more.clear()  # safe with several readers: set() has woken all of them, and each looks again
            await self._more.wait()

    async def read(self, after: int = 0) -> AsyncIterator[tuple[int, bytes]]:
        """Every event after `after` with its ID: the stored ones, then new ones until the buffer is closed."""
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
