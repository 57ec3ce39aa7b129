"""Number of running requests of each member of an alias."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from llmproxy.core.chat import Chat
from llmproxy.core.opener import Opener, Reply


class Loads:
    """Number of running requests per target. It is kept when the configuration changes, like the requests."""

    def __init__(self) -> None:
        self._running: Counter[Hashable] = Counter()

    def running(self, place: Hashable) -> int:
        return self._running.get(place, 0)

    def begin(self, place: Hashable) -> None:
        self._running[place] += 1

    def end(self, place: Hashable) -> None:
        self._running[place] -= 1
        if not self._running[place]:
            del self._running[place]


class LoadOpener:
    """Counts the requests of the inner opener, from the first attempt on, as load of one target."""

    def __init__(self, inner: Opener, loads: Loads, place: Hashable) -> None:
        self._inner = inner
        self._loads = loads
        self._place = place

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        self._loads.begin(self._place)
        try:
            async with self._inner.open(chat) as reply:
                yield reply
        finally:
            self._loads.end(self._place)
