"""Limits the retries of a provider to a share of its requests."""

from __future__ import annotations

import math

from llmproxy.core.clock import Clock, loop_time


class RetryBudget:
    """Limits retries to a share of recent requests, so that they do not overload a failing provider.

    Both counts decay: after `window` seconds a third is left. Requests are counted when they arrive, not while they run:
    otherwise long streams would allow very many retries of quick failures.
    """

    def __init__(self, share: float, *, least: float = 10, window: float = 10.0, clock: Clock = loop_time) -> None:
        """`least`: retries that are always allowed, even with few requests."""
        self._share = share
        self._least = least
        self._window = window
        self._clock = clock
        self._requests = self._retries = self._seen = 0.0

    def asked(self) -> None:
        """Counts a request."""
        self._fade()
        self._requests += 1

    def allows(self) -> bool:
        """Whether one more retry is within the budget; if so, counts it."""
        self._fade()
        allowed = round(self._retries) + 1 <= max(self._least, self._share * self._requests)
        self._retries += allowed
        return allowed

    def _fade(self) -> None:
        now = self._clock()
        left = math.exp((self._seen - now) / self._window)
        self._requests *= left
        self._retries *= left
        self._seen = now
