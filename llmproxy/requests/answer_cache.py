"""Cache of complete answers in memory, limited in time and bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

_OVERHEAD = 1000  # bytes of an entry besides its blocks


@dataclass(frozen=True, slots=True)
class Answer:
    """All blocks of an answer as they were sent, and the provider that gave it."""

    blocks: tuple[bytes, ...]
    content_type: str
    provider: str | None
    model: str | None
    dropped: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(map(len, self.blocks)) + _OVERHEAD


class AnswerCache:
    """An LRU cache. The caller passes the time."""

    def __init__(self, *, most: int, seconds: float) -> None:
        self.most = most  # bytes of all answers
        self.seconds = seconds  # seconds for which an answer is stored
        self.size = 0
        self._kept: OrderedDict[bytes, tuple[float, Answer]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def configure(self, *, most: int, seconds: float) -> None:
        """Sets other limits, also for stored answers."""
        self.most, self.seconds = most, seconds
        self._shrink()

    def find(self, key: bytes, now: float) -> Answer | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if now - kept[0] >= self.seconds:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept[1]

    def keep(self, key: bytes, answer: Answer, now: float) -> None:
        """Stores an answer. One that is larger than the whole limit is not stored."""
        self._drop(key)
        if self.seconds <= 0 or answer.size > self.most:
            return
        self._kept[key] = (now, answer)
        self.size += answer.size
        self._shrink()

    def _shrink(self) -> None:
        while self.size > self.most and self._kept:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.size -= kept[1].size
