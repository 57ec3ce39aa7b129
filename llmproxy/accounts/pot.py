"""One budget in one window, in one process: the money leased from the store, and the part that open attempts hold.

    unheld --hold--> held --settle--> spent (and the rest free again)

Pure: the caller writes purchases and returns to the store. Invariants: a lease is granted only within the limit, and only leased
money is held (except in the mode that only warns).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from llmproxy.store.spend import Grant, PotKey


class Change(NamedTuple):
    """A change of a lease of which it is not known whether it was written. given_back: 0 for a purchase."""

    id: str
    given_back: int = 0


@dataclass(slots=True, eq=False)
class Pot:
    """Money in 1e-12 dollars. granted: leased and not spent yet; a negative value is the overspend.

    process: the one that has leased it. spent, leased: of all processes, when the store was last read. open: number of attempts
    that hold money.
    """

    key: PotKey
    ends: float
    limit: int
    process: str = ""
    granted: int = 0
    held: int = 0
    open: int = 0
    spent: int = 0
    leased: int = 0
    change: Change | None = None

    @property
    def free(self) -> int:
        """Leased and not held."""
        return self.granted - self.held

    @property
    def left(self) -> int:
        """Not spent: leased by this process, or still to be leased."""
        return self.granted + self.to_lease

    @property
    def unheld(self) -> int:
        """Neither spent nor held by this process."""
        return self.granted - self.held + self.to_lease

    @property
    def to_lease(self) -> int:
        left = self.limit - self.spent - self.leased
        return left if left > 0 else 0

    def learn(self, grant: Grant) -> None:
        """Adds a lease that the store has granted."""
        self.granted += grant.granted
        self.spent, self.leased = grant.spent, grant.leased

    def hold(self, amount: int) -> None:
        self.held += amount

    def settle(self, held: int, cost: int, *, leased: bool = True) -> None:
        """An attempt that held `held` has cost `cost`. leased: the cost is paid from the lease of this process."""
        self.held -= held
        self.spent += cost
        if leased:
            self.granted -= cost
            self.leased -= cost

    def regain(self, amount: int) -> None:
        """Adds money that turned out to be leased; a negative amount removes it."""
        self.granted += amount
        self.leased += amount

    def give_back(self) -> int:
        """Removes all free money, so that the caller can return it to the store."""
        amount = max(0, self.free)
        self.granted -= amount
        self.leased -= amount
        return amount


LEAST = 16  # tokens; the smallest slice


def slice_of(unheld: int, open_attempts: int, rate: int, most: int, least: int = LEAST) -> int:
    """Tokens by which a hold grows: a fair part of the rest, so that no stream takes the money of the others."""
    if rate <= 0:
        return most
    part = unheld // (4 * open_attempts or 4) // rate
    part = part if part < most else most
    return part if part > least else least
