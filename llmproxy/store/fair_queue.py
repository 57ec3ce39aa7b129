"""Queue that serves owners in turn, so that one owner's jobs cannot delay another's."""

from __future__ import annotations

from collections import deque
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items of one owner keep their order. `len` is the number of all waiting items."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[T]] = {}
        self._turns: deque[str] = deque()  # owners with waiting items
        self._size = 0
        self._changed = Condition()

    def __len__(self) -> int:
        return self._size

    def put(self, owner: str, item: T) -> None:
        with self._changed:
            mine = self._waiting.get(owner)
            if mine is None:
                mine = self._waiting[owner] = deque()
                self._turns.append(owner)
            mine.append(item)
            self._size += 1
            self._changed.notify()

    def take(self, most: int) -> list[T]:
        """Waits for at least one item; returns at most so many, in turns."""
        with self._changed:
            while not self._size:
                self._changed.wait()
            return [self._next() for _ in range(min(most, self._size))]

    def _next(self) -> T:
        owner = self._turns.popleft()
        mine = self._waiting[owner]
        item = mine.popleft()
        self._size -= 1
        if mine:
            self._turns.append(owner)
        else:
            del self._waiting[owner]
        return item
