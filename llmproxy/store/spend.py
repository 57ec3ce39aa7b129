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
    """What one request cost one budget."""

    pot: PotKey
    process: str
    cost_e12: int


class Grant(NamedTuple):
    """granted: what was leased just now. spent, leased: of all processes, with that."""

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
_TAKE = f"{_MOVE} WHERE spend.spent_e12 + spend.leased_e12 + excluded.leased_e12 <= ?"


def buy(db: Connection, key: PotKey, process: str, want: int, limit: int) -> Grant:
    """Leases up to `want`, never more than the limit leaves. What is acknowledged is on disk before it is spent.

    That it leaves so much is a condition of the statement that takes it: how many ask at once does not matter. Raises
    StoreError for a process that was taken for dead.
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
            return Grant(granted, spent_now, leased + granted)


def give_back(db: Connection, key: PotKey, process: str, amount: int) -> None:
    """Ends a part of a lease that nothing was spent of."""
    if not db.lives(process):
        return
    _move(db, key, process, 0, -amount)
    db.execute("DELETE FROM leases WHERE id = ? AND granted_e12 = 0", (_id(key, process),))


def settle(db: Connection, spent: Iterable[Spent]) -> None:
    """Moves what was spent out of the leases. Called in the transaction that writes the rows that it is the sum of.

    The leases of a process that was taken for dead are settled already: what it says now changes nothing of them.
    """
    sums: dict[tuple[PotKey, str], int] = defaultdict(int)
    for one in spent:
        sums[one.pot, one.process] += one.cost_e12
    living = {process for process in sorted({process for _, process in sums}) if db.lives(process)}
    for (key, process), cost in sorted(sums.items()):  # in one order, so that no two wait for each other
        if process in living:
            _move(db, key, process, cost, -cost)


def settle_dead(db: Connection, process: str) -> None:
    """Ends the leases of a process that died. What its open attempts held counts as spent: they may have been billed."""
    leases = db.execute(
        "SELECT account, win, win_start, granted_e12 FROM leases WHERE process = ?", (process,)
    ).fetchall()
    for account, window, start, granted in leases:
        key = PotKey(account, window, start)
        kind, _, name = account.partition(":")
        [held] = db.execute(
            f"SELECT coalesce(sum(a.cost_e12), 0) FROM attempts a JOIN ledger l USING (opened_at, id) "
            f"WHERE l.process = ? AND l.state = 'open' AND a.{'owner' if kind == 'key' else 'grp'} = ? AND a.opened_at >= ?",
            (process, name, start),
        ).fetchone()
        _move(db, key, process, int(held), -int(granted))
    db.execute("DELETE FROM leases WHERE process = ?", (process,))


def spent(db: Connection, keys: Iterable[PotKey]) -> dict[PotKey, tuple[int, int]]:
    """(spent, leased) of each."""
    found = {}
    for key in keys:
        row = db.execute(
            "SELECT spent_e12, leased_e12 FROM spend WHERE account = ? AND win = ? AND win_start = ?", key
        ).fetchone()
        found[key] = (int(row[0]), int(row[1])) if row else (0, 0)
    return found


def _move(db: Connection, key: PotKey, process: str, spent: int, leased: int) -> None:
    """Adds to what is spent, and to what is leased by this process."""
    db.execute(_MOVE, (*key, spent, leased))
    db.execute(_LEASE, (_id(key, process), *key, process, leased))


def _id(key: PotKey, process: str) -> str:
    return f"{process}:{key.account}:{key.window}:{key.start:.0f}"
