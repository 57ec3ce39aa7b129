"""Requests that were refused before they became a task: logged, counted and listed."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

from .log import log

KEPT = 100
_A_SECOND = 10  # lines per second, after a burst of _BURST; further refusals are only counted
_BURST = 50
_SERIES = 300


class Refusal(NamedTuple):
    """at: Unix seconds. owner: the name of the key, if one was recognised. message: for the client."""

    id: str
    at: float
    address: str
    method: str
    path: str
    status: int
    code: str | None
    owner: str = ""
    message: str = ""


class Refusals:
    """`counts` are by status and code; `recent` has the last ones, the latest first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.recent: deque[Refusal] = deque(maxlen=KEPT)
        self._clock = clock
        self._room = float(_BURST)
        self._seen = clock()
        self._unsaid = 0

    def add(self, refusal: Refusal) -> None:
        label = (str(refusal.status), refusal.code or "")
        self.counts[label if label in self.counts or len(self.counts) < _SERIES else (label[0], "other")] += 1
        self.recent.appendleft(refusal)
        if not self._may_log():
            self._unsaid += 1
            return
        facts = {name: value for name, value in refusal._asdict().items() if value and name not in ("at", "message")}
        if self._unsaid:
            facts["unsaid"], self._unsaid = self._unsaid, 0  # earlier refusals without a line
        (log.warning if refusal.status >= 500 else log.info)("refused", **facts)
        log.debug("refused_because", id=refusal.id, message=refusal.message)

    def _may_log(self) -> bool:
        """Limits the lines, so that a scanner cannot fill the disk."""
        now = self._clock()
        self._room = min(_BURST, self._room + (now - self._seen) * _A_SECOND)
        self._seen = now
        if self._room < 1:
            return False
        self._room -= 1
        return True
