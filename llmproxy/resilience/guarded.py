"""A breaker: whether a provider that has failed is asked at all."""

from __future__ import annotations

from collections import deque
from types import TracebackType

from ..chat import Chat
from ..config import Breaker
from ..errors import BreakerOpen, UpstreamError
from ..reply import Opener, Opening, Reply
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

    def open(self, chat: Chat) -> Opening:
        return _Watched(self, self._inner, chat)

    def admit(self) -> bool:
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

    def answered(self) -> None:
        """It has begun to answer."""
        self._opened = 0
        self._calls.append((self._clock(), True))

    def finished(self) -> None:
        """Its answer was whole."""
        self._row = 0

    def failed(self, error: UpstreamError, *, probe: bool) -> None:
        """It did not answer, or broke in mid-answer. What was under way when the breaker opened tells nothing new."""
        if not error.blames or (self._opened and not probe):
            return
        now = self._clock()
        self._row += 1
        self._calls.append((now, False))
        if self._opened or self._row >= self._settings.failures or self._bad_ratio(now):
            self._opened += 1
            self._until = now + min(self._settings.max_cooldown, self._settings.cooldown * 2 ** (self._opened - 1))
            self._calls.clear()

    def probed(self) -> None:
        """The one request that probed it is over."""
        self._probing = False

    def _bad_ratio(self, now: float) -> bool:
        recent = [good for at, good in self._calls if now - at <= self._settings.window]
        return len(recent) >= self._settings.samples and sum(recent) < self._settings.success * len(recent)


class _Watched(Opening):
    """One attempt under the eyes of a breaker."""

    __slots__ = ("_breaker", "_chat", "_inner", "_opening", "_probe")

    _opening: Opening

    def __init__(self, breaker: Guarded, inner: Opener, chat: Chat) -> None:
        self._breaker = breaker
        self._inner = inner
        self._chat = chat

    async def __aenter__(self) -> Reply:
        self._probe = self._breaker.admit()
        self._opening = self._inner.open(self._chat)
        try:
            reply = await self._opening.__aenter__()
        except BaseException as error:
            self._over(error)
            raise
        self._breaker.answered()
        return reply

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            quiet = await self._opening.__aexit__(kind, error, trace)
        except BaseException as late:
            self._over(late)
            raise
        self._over(error)
        return quiet

    def _over(self, error: BaseException | None) -> None:
        if isinstance(error, UpstreamError):
            self._breaker.failed(error, probe=self._probe)
        elif error is None:
            self._breaker.finished()
        if self._probe:
            self._breaker.probed()
