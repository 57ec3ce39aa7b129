"""Money spent by accounts, and leased by processes. Money is an integer of 1e-12 dollars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from llmproxy.core.errors import StoreError

if TYPE_CHECKING:
    from .connection import Connection


class PotKey(NamedTuple):
    """account: key:NAME or group:NAME. start: when the window began, in Unix seconds."""

    account: str
    window: str
    start: float


class Spent(NamedTuple):
    """The cost of one request for one budget. process: the one whose lease pays it; empty: no lease."""

    pot: PotKey
    process: str
    cost_e12: int


class Grant(NamedTuple):
    """granted: the amount leased now. spent, leased: of all processes, including that."""

    granted: int
    spent: int
    leased: int


_LEASE = """
INSERT INTO leases (id, account, win, win_start, process, granted_e12) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET granted_e12 = leases.granted_e12 + excluded.granted_e12"""
_MOVE = """
INSERT INTO spend (account, win, win_start, spent_e12, leased_e12) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (account, win, win_start) DO UPDATE SET
  spent_e12 = spend.spent_e12 + excluded.spent_e12, leased_e12 = spend.leased_e12 + excluded.leased_e12"""
_NOTE = "UPDATE leases SET change = ?, change_e12 = ? WHERE id = ?"
_HELD = """
SELECT a.owner, a.grp, a.opened_at, sum(a.cost_e12) FROM attempts a JOIN ledger l USING (opened_at, id)
WHERE l.process = ? AND l.state = 'open' AND a.cost_e12 > 0 GROUP BY a.owner, a.grp, a.opened_at"""
_WINDOWS = (
    "SELECT win, max(win_start) FROM spend WHERE account = ? AND win_start <= ? GROUP BY win"  # those of that time
)
_TAKE = f"{_MOVE} WHERE spend.spent_e12 + spend.leased_e12 + excluded.leased_e12 <= ?"


def buy(db: Connection, key: PotKey, process: str, want: int, limit: int, change: str = "") -> Grant:
    """Leases up to `want`, never more than the limit leaves. The lease is on disk before it is spent.

    The limit is a condition of the statement that takes the amount, so parallel calls cannot exceed it. change: an ID of this
    purchase, for `came_about`. Raises StoreError for a process that is considered dead.
    """
    if not db.lives(process):
        raise StoreError("This replica was away from the database for too long. It begins anew in a moment.")
    while True:
        [(spent_now, leased)] = spent(db, [key]).values()
        granted = max(0, min(want, limit - spent_now - leased))
        if not granted:
            return Grant(0, spent_now, leased)
        if db.execute(_TAKE, (*key, 0, granted, limit)).rowcount:
            db.execute(_LEASE, (_id(key, process), *key, process, granted))
            db.execute(_NOTE, (change, granted, _id(key, process)))
            return Grant(granted, spent_now, leased + granted)


def give_back(db: Connection, key: PotKey, process: str, amount: int, change: str = "") -> None:
    """Returns an unspent part of a lease. change: as in `buy`."""
    if not db.lives(process):
        return
    _move(db, key, process, 0, -amount)
    db.execute(_NOTE, (change, -amount, _id(key, process)))
    _forget_empty(db, key, process)


def came_about(db: Connection, key: PotKey, process: str, change: str) -> int | None:
    """The amount of the lease's last change, if it was written although it was not acknowledged; None if it was not.

    A lease that was given back as a whole has no row any more: then 0. Raises StoreError as `buy`.
    """
    if not db.lives(process):
        raise StoreError("This replica was away from the database for too long. It begins anew in a moment.")
    _move(db, key, process, 0, 0)  # waits for a transaction that is still writing it
    row = db.execute("SELECT change, change_e12 FROM leases WHERE id = ?", (_id(key, process),)).fetchone()
    _forget_empty(db, key, process)
    if row["change"] in (change, ""):
        return int(row["change_e12"])
    return None


def settle(db: Connection, spent: Iterable[Spent]) -> None:
    """Moves the spent amounts out of the leases. Called in the transaction that writes the rows of which they are the sum.

    The leases of a process that was considered dead have ended: what it spent of them counts, and no lease shrinks.
    """
    sums: dict[tuple[PotKey, str], int] = defaultdict(int)
    for one in spent:
        sums[one.pot, one.process] += one.cost_e12
    alive = living(db, {process for _, process in sums if process})
    for (key, process), cost in sorted(sums.items()):  # in one order, so that no two wait for each other
        if not cost:
            continue
        if process in alive:
            _move(db, key, process, cost, -cost)
        else:
            db.execute(_MOVE, (*key, cost, 0))


def living(db: Connection, processes: Iterable[str]) -> set[str]:
    """Live processes, which cannot be declared dead until this transaction ends."""
    return {process for process in sorted(processes) if db.lives(process)}


def settle_dead(db: Connection, process: str) -> None:
    """Ends the leases of a process that died. What its open attempts held counts as spent: they may have been billed."""
    moved: dict[PotKey, list[int]] = defaultdict(lambda: [0, 0])
    for *key, granted in db.execute(
        "SELECT account, win, win_start, granted_e12 FROM leases WHERE process = ?", (process,)
    ).fetchall():
        moved[PotKey(*key)][1] -= int(granted)
    for owner, group, opened_at, held in db.execute(_HELD, (process,)).fetchall():
        for account in (f"key:{owner}", f"group:{group}"):
            for window, start in db.execute(_WINDOWS, (account, opened_at)).fetchall():
                moved[PotKey(account, window, start)][0] += int(held)
    for pot, (spent, leased) in sorted(moved.items()):
        db.execute(_MOVE, (*pot, spent, leased))
    db.execute("DELETE FROM leases WHERE process = ?", (process,))


def spent(db: Connection, keys: Iterable[PotKey]) -> dict[PotKey, tuple[int, int]]:
    """(spent, leased) of each budget."""
    found = {}
    for key in keys:
        row = db.execute(
            "SELECT spent_e12, leased_e12 FROM spend WHERE account = ? AND win = ? AND win_start = ?", key
        ).fetchone()
        found[key] = (int(row[0]), int(row[1])) if row else (0, 0)
    return found


def _move(db: Connection, key: PotKey, process: str, spent: int, leased: int) -> None:
    """Adds to the spent amount, and to the amount leased by this process."""
    db.execute(_MOVE, (*key, spent, leased))
    db.execute(_LEASE, (_id(key, process), *key, process, leased))


def _forget_empty(db: Connection, key: PotKey, process: str) -> None:
    db.execute("DELETE FROM leases WHERE id = ? AND granted_e12 = 0", (_id(key, process),))


def _id(key: PotKey, process: str) -> str:
    return f"{process}:{key.account}:{key.window}:{key.start:.0f}"
