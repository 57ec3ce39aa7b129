"""Moves threads and rows from former owners to present ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .connection import Connection

_POSITIONAL = re.compile(r"(key|environment)-\d{1,4}")
_TABLES = ("threads", "ledger")


@dataclass(frozen=True, slots=True)
class Adopted:
    """Rows of one owner that were moved. `to` is None if they were not moved, because their owner is uncertain."""

    owner: str
    to: str | None
    threads: int
    requests: int


def adopt(db: Connection, heirs: Mapping[str, str]) -> list[Adopted]:
    """Moves the rows of each owner in `heirs`. Owners named by position are handled once in a database's life.

    If the database has a position that the present keys do not have, the list has changed since. Then it is unknown to whom the
    positions belonged, and only the administrator's data (the heir of the owner "") is moved.
    """
    found: list[Adopted] = []
    if not db.execute("SELECT 1 FROM adoptions").fetchone():
        found += _positions(db, heirs)
        db.execute("INSERT INTO adoptions (done) VALUES (1)")
    if "" in heirs:
        found.append(_moved(db, "", heirs[""]))
    return [one for one in found if one.threads or one.requests]


def _positions(db: Connection, heirs: Mapping[str, str]) -> list[Adopted]:
    owners = {owner for table in _TABLES for (owner,) in db.execute(f"SELECT DISTINCT owner FROM {table}")}
    positional = sorted(owner for owner in owners if _POSITIONAL.fullmatch(owner))
    certain = all(owner in heirs for owner in positional)
    return [_moved(db, owner, heirs[owner] if certain else heirs.get("")) for owner in positional]


def _moved(db: Connection, owner: str, to: str | None) -> Adopted:
    whose = "owner = ''" if not owner else "owner = ?"  # as a literal, so that an index is used
    values = (owner,) if owner else ()
    counts = [db.execute(f"SELECT count(*) FROM {table} WHERE {whose}", values).fetchone()[0] for table in _TABLES]
    if not any(counts):
        return Adopted(owner, to, *counts)
    if to is not None:
        for table in _TABLES:
            db.execute(f"UPDATE {table} SET owner = ? WHERE owner = ?", (to, owner))
        db.execute("UPDATE attempts SET owner = ? WHERE owner = ?", (to, owner))
    return Adopted(owner, to, *counts)
