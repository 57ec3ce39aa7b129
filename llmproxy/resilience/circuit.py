"""State machine of one circuit: closed, open, half open with one probe. It takes the time as an argument."""

from __future__ import annotations

import math
from collections import deque

from llmproxy.config import Breaker


class Circuit:
    """Opens after too many failures, unless an answer was complete within the last `cooldown` seconds.

    What answered a moment ago is not down: the failures are then more likely the requests' own.
    """

    __slots__ = ("_calls", "_good_at", "_opened", "_probing", "_row", "_settings", "_until")

    def __init__(self, settings: Breaker) -> None:
        self._settings = settings
        self._row = 0  # failures since the last complete answer
        self._good_at = -math.inf
        self._calls: deque[tuple[float, bool]] = deque(maxlen=min(1000, 2 * settings.samples))
        self._until = 0.0
        self._opened = 0  # times in a row that it opened
        self._probing = False

    def state(self, now: float) -> str:
        """`closed`, `open` or `half_open`."""
        if not self._opened:
            return "closed"
        return "open" if now < self._until else "half_open"

    def refuses(self, now: float) -> float | None:
        """None if a request may pass, else the seconds until one may."""
        if not self._opened or (now >= self._until and not self._probing):
            return None
        return max(0.0, self._until - now)

    def enter(self) -> bool:
        """A request passes; true if it is the one that probes."""
        if not self._opened:
            return False
        self._probing = True
        return True

    def left(self) -> None:
        """The probe is over."""
        self._probing = False

    def answered(self) -> None:
        """An answer has begun."""
        self._opened = 0

    def reached(self) -> None:
        """It is there after all: what was counted before is void."""
        self._opened = self._row = 0
        self._calls.clear()

    def finished(self, now: float) -> None:
        """An answer is complete."""
        self._row, self._good_at = 0, now
        self._calls.append((now, True))

    def failed(self, now: float, *, probe: bool = False) -> None:
        """A request failed. One that was under way when the circuit opened tells nothing new."""
        if self._opened and not probe:
            return
        self._row += 1
        self._calls.append((now, False))
        if self._opened or self._is_down(now):
            self._opened += 1
            self._until = now + min(self._settings.max_cooldown, self._settings.cooldown * 2 ** (self._opened - 1))
            self._calls.clear()

    def _is_down(self, now: float) -> bool:
        silent = now - self._good_at > self._settings.cooldown
        return (silent and self._row >= self._settings.failures) or self._bad_ratio(now)

    def _bad_ratio(self, now: float) -> bool:
        recent = [good for at, good in self._calls if now - at <= self._settings.window]
        return len(recent) >= self._settings.samples and sum(recent) < self._settings.success * len(recent)
