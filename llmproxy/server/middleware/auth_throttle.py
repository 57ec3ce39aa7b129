"""Brute-force protection: counts wrong keys per client address."""

from __future__ import annotations

import time
from collections.abc import Callable

from llmproxy.observe.log import log

MOST = 60  # wrong keys that one address may send ...
WINDOW = 60.0  # ... within so many seconds
_KNOWN = 4096  # addresses


class AuthThrottle:
    """Slows down addresses that send many wrong keys, and logs them.

    A correct key is never counted or delayed: many people may share one address (a reverse proxy, an office), and none of them
    can lock out the others. Only the length of keys protects them from being guessed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # address: time of the first one, and number; the most recent address is last
        self._counts: dict[str, tuple[float, int]] = {}

    def wrong(self, address: str) -> float:
        """Counts a wrong key; returns the seconds for which the address must wait, or 0."""
        now = self._clock()
        since, count = self._counts.pop(address, (now, 0))
        if now - since >= WINDOW:
            since, count = now, 0
        self._counts[address] = since, count + 1
        if len(self._counts) > _KNOWN:
            del self._counts[next(iter(self._counts))]
        if count == MOST:
            log.warning("many_wrong_keys", address=address)
        return since + WINDOW - now if count >= MOST else 0.0
