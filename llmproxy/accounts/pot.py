"""One budget in one window, in one process: what is leased from the store, and what open attempts hold of it.

    unheld --hold--> held --settle--> spent (and the rest free again)

Pure: what is bought and given back is written by who calls. The invariants: a lease is granted only within the limit, and
nothing is held that is not leased (but in the mode that only warns).
"""

from __future__ import annotations

from dataclasses import dataclass

from llmproxy.store.spend import Grant, PotKey


@dataclass(slots=True, eq=False)
class Pot:
    """Money in 1e-12 dollars. granted: leased and not spent yet; below zero it is what was overspent.

    process: who has leased it. spent, leased: of all processes, when the store was last asked. open: attempts that hold something.
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

    @property
    def free(self) -> int:
        """Leased, and held by nobody."""
        return self.granted - self.held

    @property
    def left(self) -> int:
        """What is not spent, however it is held: by us, or still to be leased."""
        return self.granted + self.to_lease

    @property
    def unheld(self) -> int:
        """What is neither spent nor held here."""
        return self.free + self.to_lease

    @property
    def to_lease(self) -> int:
        return max(0, self.limit - self.spent - self.leased)

    def learn(self, grant: Grant) -> None:
        """What the store said when it was asked for a lease."""
        self.granted += grant.granted
        self.spent, self.leased = grant.spent, grant.leased

    def hold(self, amount: int) -> None:
        self.held += amount

    def settle(self, held: int, cost: int) -> None:
        """An attempt that held so much has cost so much."""
        self.held -= held
        self.granted -= cost
        self.spent += cost
        self.leased -= cost

    def give_back(self) -> int:
        """What the store may take back: all that is free."""
        amount = max(0, self.free)
        self.granted -= amount
        self.leased -= amount
        return amount


LEAST = 16  # tokens of a slice


def slice_of(unheld: int, open_attempts: int, rate: int, most: int, least: int = LEAST) -> int:
    """Tokens by which a hold grows: a fair part of what is left, so that no stream keeps the others out."""
    if rate <= 0:
        return most
    return max(least, min(most, unheld // (4 * max(1, open_attempts)) // rate))
