"""Brute-force protection: counts wrong keys per client address."""

from __future__ import annotations

import time
from collections.abc import Callable

from llmproxy.observe.log import log

MOST = 60  # wrong keys that one address may send ...
WINDOW = 60.0  # ... within so many seconds
_KNOWN = 4096  # addresses


class AuthThrottle:
    """Who sends many wrong keys is told to slow down, and the log says who it is.

    A right key is never counted, looked up or delayed: behind one address there may be many people (a reverse proxy, an
    office), and none of them can shut the others out. What keeps keys from being guessed is their length.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, tuple[float, int]] = {}  # address: since when, how many; the last one is the latest

    def wrong(self, address: str) -> float:
        """Counts one; gives the seconds for which there were too many, or 0."""
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
