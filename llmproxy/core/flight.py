"""What is noted of a request's way beside its attempts: waits, silences, and, where the operator has it kept, what was said."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

Why = Literal["first", "retry", "failover", "hedge", "part"]
WaitKind = Literal["queue", "backoff", "budget"]

SILENCE = 0.5  # seconds without anything from which on a gap is noted
_LONGEST = 8  # gaps of one attempt that are kept with their places
_ENDS = 16  # entries that a long list keeps of its beginning, and of its end


@dataclass(slots=True)
class Wait:
    """A time in which nothing was asked. Times are time.monotonic(). code: of the failure that it follows."""

    kind: WaitKind
    began: float
    ended: float | None = None
    code: str | None = None

    def end(self) -> None:
        self.ended = time.monotonic()


@dataclass(slots=True)
class Gaps:
    """The silences of one answer: how many, how long together, and the longest of them as (seconds, when it began).

    A gap lies between two pieces that were passed on. A client who is slow to take a piece is in it as well.
    """

    count: int = 0
    seconds: float = 0.0
    longest: list[tuple[float, float]] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        """One that ends now."""
        self.count += 1
        self.seconds += seconds
        self.longest.append((seconds, time.monotonic() - seconds))
        if len(self.longest) > _LONGEST:
            self.longest.remove(min(self.longest))


@dataclass(slots=True)
class Content:
    """The beginning of what was asked and of what was answered, as the client's bytes."""

    most: int
    question: bytes = b""
    answer: bytearray = field(default_factory=bytearray)

    @property
    def size(self) -> int:
        return len(self.question) + len(self.answer)

    def take(self, frames: bytes) -> None:
        if (room := self.most - len(self.answer)) > 0:
            self.answer += frames[:room]


def thinned(entries: list[Any]) -> int:
    """Keeps the first and the last entries of a list that became long. Gives how many it let go."""
    over = len(entries) - 2 * _ENDS
    if over > 0:
        del entries[_ENDS : _ENDS + over]
    return max(0, over)
