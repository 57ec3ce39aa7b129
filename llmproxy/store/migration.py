"""Copies a whole database into an empty one, from one engine to another, and compares both before the commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from llmproxy.core.errors import StoreError

from .connection import Connection, Row
from .engine import Engine

_VARIABLES = 30_000  # of one statement: SQLite takes a few more


@dataclass(frozen=True, slots=True)
class Table:
    """key: the order in which its rows are read. page: number of rows read at once.

    sums: columns whose sums are compared, besides the number of rows; for texts and bytes the sum of their lengths. own: a
    column that only one engine has.
    """

    name: str
    key: tuple[str, ...]
    sums: tuple[str, ...] = ()
    page: int = 500
    own: str = ""


# In an order in which rows come after those that they refer to.
TABLES = (
    Table("threads", ("id",), ("title", "pinned", "titled"), own="seq"),
    Table("messages", ("seq",), ("seq", "text")),
    Table("tapes", ("ends",), ("events", "first", "last"), page=50),
    Table("ledger", ("opened_at", "id"), ("attempts", "tokens_in", "tokens_out", "cost_e12")),
    Table("attempts", ("opened_at", "id", "number"), ("input", "output", "cost_e12")),
    Table("accounts", ("id",), ("admin",)),
    Table("secrets", ("hash",), ("hash",)),
    Table("spend", ("account", "win", "win_start"), ("spent_e12", "leased_e12")),
    Table("leases", ("id",), ("granted_e12",)),
    Table("token_ratios", ("kind", "model", "bucket"), ("answers",)),
    Table("adoptions", ("done",)),
)
# Not copied, because it is rebuilt or belongs to one engine: text indexes, sums of the ledger, versions, heartbeats, a cache.
ELSEWHERE = frozenset(
    ("words", "titles", "rollups", "progress", "schema_version", "replicas", "account_changes", "kept_answers")
)


@dataclass(slots=True)
class Copied:
    """One copied table: number of rows, and the sums as they were read."""

    table: str
    rows: int = 0
    sums: dict[str, int] = field(default_factory=dict)


def copy(source: Engine, target: Engine, progress: Callable[[Copied], None] = lambda one: None) -> list[Copied]:
    """Copies everything, or nothing. Both databases are updated to the newest schema.

    Raises StoreError: the source does not exist or is in use, the target is not empty, or the written data differs from the
    read data.
    """
    try:
        return _copy(source, target, progress)
    except Exception as error:
        failed = next((one for one in (source, target) if one.is_failure(error)), None)
        if failed is None:
            raise
        raise failed.translated(error) from error


def _copy(source: Engine, target: Engine, progress: Callable[[Copied], None]) -> list[Copied]:
    look = source.look()
    if look is None:
        raise StoreError("There is no database to copy.")
    look.close()
    with closing(source.connect()) as old, closing(target.connect()) as new:
        old.execute(source.begins[1])
        new.execute(target.begins[0])
        _refuse(source, old, target, new)
        done = []
        for table in TABLES:
            done.append(_copied(table, old, new))
            progress(done[-1])
        [number] = old.execute("SELECT number FROM account_changes").fetchone()
        new.execute("UPDATE account_changes SET number = ?", (number + 1,))
        new.number_on()
        for one in done:
            _compare(one, new)
        new.execute("COMMIT")
    return done


def _refuse(source: Engine, old: Connection, target: Engine, new: Connection) -> None:
    for engine, db in ((source, old), (target, new)):
        if engine.living(db):
            raise StoreError("A gateway is running on one of the databases. Stop it first.")
    full = [table.name for table in TABLES if new.execute(f"SELECT 1 FROM {table.name} LIMIT 1").fetchone()]
    if full:
        raise StoreError(f"The target is not empty ({', '.join(full)}). Nothing was copied.")


def _copied(table: Table, old: Connection, new: Connection) -> Copied:
    done = Copied(table.name, sums=dict.fromkeys(table.sums, 0))
    end = 0
    for page in _pages(table, old):
        rows = [{name: value for name, value in dict(row).items() if name != table.own} for row in page]
        for row in rows:
            if table.name == "tapes":  # each engine counts the log of tapes in its own steps
                end += -(-len(row["events"]) // new.sql.tape_unit) or 1
                row["ends"] = end
            for name in table.sums:
                done.sums[name] += _size(row[name], new.sql.nul)
        _insert(table.name, rows, new)
        done.rows += len(rows)
    return done


def _pages(table: Table, old: Connection) -> Iterator[list[Row]]:
    """All rows, in the order of their keys."""
    key, last = ", ".join(table.key), None
    places = ", ".join("?" * len(table.key))
    while True:
        after = f"WHERE ({key}) > ({places})" if last is not None else ""
        rows = old.execute(
            f"SELECT * FROM {table.name} {after} ORDER BY {key} LIMIT {table.page}", last or ()
        ).fetchall()
        if rows:
            yield rows
        if len(rows) < table.page:
            return
        last = tuple(rows[-1][name] for name in table.key)


def _insert(table: str, rows: list[dict[str, Any]], new: Connection) -> None:
    if not rows:
        return
    names = list(rows[0])
    size = max(1, _VARIABLES // len(names))
    for at in range(0, len(rows), size):
        some = rows[at : at + size]
        places = ", ".join([f"({', '.join('?' * len(names))})"] * len(some))
        values = [row[name] for row in some for name in names]
        new.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES {places}", values)
    if table == "messages":
        for row in rows:
            if row["state"] != "streaming":
                new.index(row["id"], row["text"])


def _size(value: Any, nul: str) -> int:
    """What a value adds to a sum."""
    if isinstance(value, str):
        return len(value.replace("\0", nul).encode())
    return len(value) if isinstance(value, bytes) else int(value or 0)


def _compare(one: Copied, new: Connection) -> None:
    """Raises StoreError if the new table differs from what was read."""
    names = list(one.sums)
    lengths = {"title": new.sql.octets, "text": new.sql.octets, "events": "length({})", "hash": "length({})"}
    sums = "".join(f", coalesce(sum({lengths.get(name, '{}').format(name)}), 0)" for name in names)
    rows, *found = new.execute(f"SELECT count(*){sums} FROM {one.table}").fetchone()
    if rows != one.rows or dict(zip(names, found, strict=True)) != one.sums:
        raise StoreError(f"The copy of {one.table} is not what was read. Nothing was kept of it.")
