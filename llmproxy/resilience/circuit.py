"""State machine of one circuit: closed, open, half open with one probe. It takes the time as an argument."""

from __future__ import annotations

import math
from collections import deque

from llmproxy.config import Breaker


class Circuit:
    """Opens after too many failures, unless an answer was complete within the last `cooldown` seconds.

    A provider that answered recently is not down: then the requests are the more likely cause.
    """

    __slots__ = ("_calls", "_good_at", "_probing", "_row", "_settings", "_until", "opened")

    def __init__(self, settings: Breaker) -> None:
        self._settings = settings
        self._row = 0  # failures since the last complete answer
        self._good_at = -math.inf
        self._calls: deque[tuple[float, bool]] = deque(maxlen=min(1000, 2 * settings.samples))
        self._until = 0.0
        self.opened = 0  # consecutive times that it opened
        self._probing = False

    def state(self, now: float) -> str:
        """`closed`, `open` or `half_open`."""
        if not self.opened:
            return "closed"
        return "open" if now < self._until else "half_open"

    def refuses(self, now: float) -> float | None:
        """None if a request may pass, otherwise the seconds until one may."""
        if not self.opened or (now >= self._until and not self._probing):
            return None
        return max(0.0, self._until - now)

    def enter(self) -> bool:
        """A request passes; true if it is the test request."""
        if not self.opened:
            return False
        self._probing = True
        return True

    def left(self) -> None:
        """The test request has ended."""
        self._probing = False

    def answered(self) -> None:
        """An answer has begun."""
        self.opened = 0

    def reached(self) -> None:
        """The provider can be reached: resets the counts."""
        self.opened = self._row = 0
        self._calls.clear()

    def finished(self, now: float) -> None:
        """An answer is complete."""
        self._row, self._good_at = 0, now
        self._calls.append((now, True))

    def failed(self, now: float, *, probe: bool = False) -> None:
        """A request failed. Requests that began before the circuit opened are ignored."""
        if self.opened and not probe:
            return
        self._row += 1
        self._calls.append((now, False))
        if self.opened or self._is_down(now):
            self.opened += 1
            self._until = now + min(self._settings.max_cooldown, self._settings.cooldown * 2 ** (self.opened - 1))
            self._calls.clear()

    def _is_down(self, now: float) -> bool:
        silent = now - self._good_at > self._settings.cooldown
        return (silent and self._row >= self._settings.failures) or self._bad_ratio(now)

    def _bad_ratio(self, now: float) -> bool:
        recent = [good for at, good in self._calls if now - at <= self._settings.window]
        return len(recent) >= self._settings.samples and sum(recent) < self._settings.success * len(recent)
