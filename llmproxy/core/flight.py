"""Notes about a request for its flight record: waits, silences, and, if the operator wants it, its content."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

Why = Literal["first", "retry", "failover", "hedge", "part"]
WaitKind = Literal["queue", "backoff", "budget"]

SILENCE = 0.5  # seconds without data after which a gap is noted
_LONGEST = 8  # gaps of one attempt whose positions are kept
_ENDS = 16  # entries of a long list that are kept at its beginning and at its end


@dataclass(slots=True)
class Wait:
    """A time in which no provider was called. Times are time.monotonic(). code: of the failure before it."""

    kind: WaitKind
    began: float
    ended: float | None = None
    code: str | None = None

    def end(self) -> None:
        self.ended = time.monotonic()


@dataclass(slots=True)
class Gaps:
    """The silences of one answer: number, total length, and the longest ones as (seconds, time when it began).

    A gap is the time between two pieces that were passed on. It includes the time in which a slow client did not take a
    piece.
    """

    count: int = 0
    seconds: float = 0.0
    longest: tuple[tuple[float, float], ...] = ()

    def add(self, seconds: float) -> None:
        """Adds a gap that ends now."""
        self.count += 1
        self.seconds += seconds
        longest = self.longest
        if len(longest) == _LONGEST:
            shortest = min(longest)
            if seconds < shortest[0]:  # nearly always, where events are half a second apart
                return
            at = longest.index(shortest)
            longest = (*longest[:at], *longest[at + 1 :])
        self.longest = (*longest, (seconds, time.monotonic() - seconds))


@dataclass(slots=True)
class Content:
    """The beginning of the request and of the answer, as the client's bytes.

    most: bytes of each for the flight record. exported: bytes of each for the export to a collector.
    """

    most: int
    question: bytes = b""
    answer: bytearray = field(default_factory=bytearray)
    exported: int = 0

    @property
    def size(self) -> int:
        return len(self.question) + len(self.answer)

    def take(self, frames: bytes) -> None:
        if (room := max(self.most, self.exported) - len(self.answer)) > 0:
            self.answer += frames[:room]


def thinned(entries: list[Any]) -> int:
    """Keeps the first and the last entries of a long list. Returns how many were removed."""
    over = len(entries) - 2 * _ENDS
    if over <= 0:
        return 0
    del entries[_ENDS : _ENDS + over]
    return over
