"""A breaker: whether a provider that has failed is asked at all."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..chat import Chat
from ..config import Breaker
from ..errors import BreakerOpen, UpstreamError
from ..reply import Opener, Reply
from .clock import Clock, loop_time


class Guarded:
    """A breaker: a provider that keeps failing is left alone for a while, then one request probes it.

    A client's mistake, a full quota and a cancel never count; a 429 is not a failure of the provider.
    """

    def __init__(self, inner: Opener, settings: Breaker, *, clock: Clock = loop_time) -> None:
        self._inner = inner
        self._settings = settings
        self._clock = clock
        self._row = 0  # failures since the last answer that was whole
        self._calls: deque[tuple[float, bool]] = deque(maxlen=1000)
        self._until = 0.0
        self._opened = 0  # times in a row that it opened
        self._probing = False

    @property
    def state(self) -> str:
        """`closed`, `open` or `half_open`."""
        if not self._opened:
            return "closed"
        return "open" if self._clock() < self._until else "half_open"

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        probe = self._admit()
        try:
            async with self._inner.open(chat) as reply:
                self._answered()
                yield reply
                self._row = 0
        except UpstreamError as error:  # it did not answer, or broke in mid-answer
            if error.blames and (probe or not self._opened):  # what was under way when it opened tells nothing new
                self._failed()
            raise
        finally:
            if probe:
                self._probing = False

    def _admit(self) -> bool:
        """Lets a call through; true if it is the one that probes. Raises BreakerOpen."""
        if not self._opened:
            return False
        left = self._until - self._clock()
        if left <= 0 and not self._probing:
            self._probing = True
            return True
        wait = max(1, round(left + 0.5))
        raise BreakerOpen(
            "This provider failed repeatedly and is left alone for a moment.", headers={"Retry-After": str(wait)}
        )

    def _answered(self) -> None:
        self._opened = 0
        self._calls.append((self._clock(), True))

    def _failed(self) -> None:
        now = self._clock()
        self._row += 1
        self._calls.append((now, False))
        if self._opened or self._row >= self._settings.failures or self._bad_ratio(now):
            self._opened += 1
            self._until = now + min(self._settings.max_cooldown, self._settings.cooldown * 2 ** (self._opened - 1))
            self._calls.clear()

    def _bad_ratio(self, now: float) -> bool:
        recent = [good for at, good in self._calls if now - at <= self._settings.window]
        return len(recent) >= self._settings.samples and sum(recent) < self._settings.success * len(recent)
