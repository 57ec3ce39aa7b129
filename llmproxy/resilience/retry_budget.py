"""Limits the retries of a provider to a share of its requests."""

from __future__ import annotations

import math

from llmproxy.core.clock import Clock, loop_time


class RetryBudget:
    """Retries held to a share of the requests of late, so that a struggling provider is not finished off.

    Both are counts that fade: of what was `window` seconds ago a third is left. Requests are counted as they come, not
    those in flight: answers that stream for minutes would allow a storm of retries of quick failures.
    """

    def __init__(self, share: float, *, least: float = 10, window: float = 10.0, clock: Clock = loop_time) -> None:
        """`least`: retries that are allowed however few requests there are."""
        self._share = share
        self._least = least
        self._window = window
        self._clock = clock
        self._requests = self._retries = self._seen = 0.0

    def asked(self) -> None:
        """A request has come."""
        self._fade()
        self._requests += 1

    def allows(self) -> bool:
        """Whether one more retry is within the budget; if so, it is counted."""
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
