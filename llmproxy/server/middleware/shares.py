"""Equal shares of keys under a shortage: who holds how many places, and who asked how often. Pure; times are values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

_FRESH = 0.05  # seconds for which a count of places is used: counting costs time for each place
_HALF_LIFE = 2.0  # seconds after which a request counts half
_MOST = 1000  # keys whose requests are counted


def is_below(own: float, keys: int, total: float) -> bool:
    """Whether a key with `own` of `total` has less than an equal share of `keys` keys. A key that has nothing always has."""
    return not own or own * max(2, keys) < total


class Places:
    """How many places each key holds. Counted again after _FRESH seconds; between two counts, places are only added.

    So a key is never believed to hold fewer places than it does, and one look costs the same with any number of places.
    """

    def __init__(self, count: Callable[[], Counter[str]]) -> None:
        self._count = count
        self._held: Counter[str] = Counter()
        self._until = float("-inf")

    def is_below(self, owner: str, total: int, now: float) -> bool:
        """Whether the key holds less than an equal share of so many places."""
        if now >= self._until:
            self._held, self._until = self._count(), now + _FRESH
        return is_below(self._held[owner], len(self._held), total)

    def held(self, owner: str) -> int:
        return self._held[owner]

    def add(self, owner: str) -> None:
        self._held[owner] += 1


class RecentRequests:
    """How often each key asked recently, whether it was answered or refused: the counts are halved every _HALF_LIFE seconds."""

    def __init__(self) -> None:
        self._counts: dict[str, float] = {}
        self._total = 0.0
        self._halved_at = float("-inf")

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, owner: str, now: float) -> None:
        self._age(now)
        while owner not in self._counts and len(self._counts) >= _MOST:
            self._halve()
        self._counts[owner] = self._counts.get(owner, 0.0) + 1.0
        self._total += 1.0

    def is_below(self, owner: str) -> bool:
        """Whether the key has made less than an equal share of the recent requests, not counting the last one."""
        return is_below(self._counts.get(owner, 0.0) - 1.0, len(self._counts), self._total)

    def _age(self, now: float) -> None:
        if now - self._halved_at > 20 * _HALF_LIFE:  # nothing is left of them
            self._counts, self._total, self._halved_at = {}, 0.0, now
        while now - self._halved_at >= _HALF_LIFE:
            self._halve()
            self._halved_at += _HALF_LIFE

    def _halve(self) -> None:
        self._counts = {owner: count / 2 for owner, count in self._counts.items() if count >= 2.0}
        self._total = sum(self._counts.values())
