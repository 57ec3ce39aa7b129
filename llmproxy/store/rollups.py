"""Sums of the ledger by time and model, so that a week of a million requests is read from hundreds of rows.

A mark (`progress`) is the last row of the ledger that the sums include. It is moved in slices, half an hour behind the clock;
newer rows are read from the ledger itself. So the sums of a database without sums are made in the same way, and a request costs
nothing here, unless it ends after the mark has passed it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .connection import Connection, Row
    from .ledger import Entry

STEPS = (900, 7200)  # seconds: of a day's sums, and of a week's
KEPT = {900: 2 * 86_400.0, 7200: 9 * 86_400.0}  # for how many seconds sums are kept
BEHIND = 1800.0  # by how many seconds the mark is behind the clock
# a request that ends so many seconds after its beginning may have been passed: less than BEHIND, because clocks differ
LATE = 1200.0
ROWS = 1000  # of the ledger, in one slice
_GROWTH = math.log(1.04)  # width of a bucket: a value has an error of 2 %
_MARK = "rollups"

Target = tuple[str | None, str | None]  # provider and model
Place = tuple[float, str]  # a row of the ledger: opened_at, id
MEASURES = ("ttft_ms", "duration_ms", "closed_ms", "tokens_per_second")
_SUMS = ("requests", "errors", "cancelled", "truncated", "tokens_in", "tokens_out", "cost_e12")
_COLUMNS = (
    "opened_at, id, state, code, provider, coalesce(provider_model, model) AS model, tokens_in, tokens_out, cost_e12, "
    + ", ".join(MEASURES)
)
_NEXT = f"SELECT {_COLUMNS} FROM ledger WHERE (opened_at, id) > (?, ?) AND opened_at < ? ORDER BY opened_at, id"
_MOVE = (
    "INSERT INTO progress (id, place, id_there) VALUES (?,?,?) "
    "ON CONFLICT (id) DO UPDATE SET place = excluded.place, id_there = excluded.id_there"
)
_ENDED_OF = f"SELECT {_COLUMNS} FROM ledger WHERE opened_at = ? AND id = ? AND state <> 'open'"
_PUT = (
    f"INSERT INTO rollups (step, start, target, {', '.join(_SUMS)}, counts) VALUES (?,?,?,?,?,?,?,?,?,?,?) "
    "ON CONFLICT (step, start, target) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*_SUMS, "counts"))
)


@dataclass(slots=True)
class Sums:
    """The sums of some requests. counts: by measure, the number of values in each bucket."""

    requests: int = 0
    errors: int = 0
    cancelled: int = 0
    truncated: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_e12: int | None = None
    counts: dict[str, Counter[int]] = field(default_factory=lambda: {name: Counter() for name in MEASURES})

    def add(self, row: Mapping[str, Any] | Row) -> None:
        """Adds one finished request."""
        state = row["state"]
        self.requests += 1
        self.errors += state in ("failed", "lost")
        self.cancelled += state == "cancelled"
        self.truncated += row["code"] == "upstream_truncated"
        self.tokens_in += row["tokens_in"] or 0
        self.tokens_out += row["tokens_out"] or 0
        if row["cost_e12"] is not None:
            self.cost_e12 = (self.cost_e12 or 0) + row["cost_e12"]
        for name, which in (("duration_ms", "completed"), ("closed_ms", "cancelled")):
            if state == which:
                self._count(name, row[name])
        self._count("ttft_ms", row["ttft_ms"])
        self._count("tokens_per_second", row["tokens_per_second"])

    def _count(self, name: str, value: float | None) -> None:
        if value is not None:
            self.counts[name][_bucket(value)] += 1

    def merge(self, other: Sums) -> None:
        for name in _SUMS[:-1]:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.cost_e12 is not None:
            self.cost_e12 = (self.cost_e12 or 0) + other.cost_e12
        for name, counted in other.counts.items():
            self.counts[name].update(counted)

    def percentile(self, name: str, share: int) -> float | None:
        """The bucket of the nearest rank: `share` percent of the values are not above it."""
        counted = self.counts[name]
        place = (counted.total() * share + 99) // 100
        for bucket in sorted(counted):
            place -= counted[bucket]
            if place <= 0:
                return round(_value(bucket), 3)
        return None


_NONE = -(10**6)  # the bucket of zero


def _bucket(value: float) -> int:
    return round(math.log(value) / _GROWTH) if value > 0 else _NONE


def _value(bucket: int) -> float:
    return math.exp(bucket * _GROWTH) if bucket != _NONE else 0.0


def mark(db: Connection) -> Place:
    """The last row of the ledger that the sums include."""
    row = db.execute("SELECT place, id_there FROM progress WHERE id = ?", (_MARK,)).fetchone()
    return (row[0], row[1]) if row is not None else (0.0, "")


def advance(db: Connection, now: float, rows: int = ROWS) -> bool:
    """Moves the mark by at most so many rows. Returns whether there are more."""
    db.lock("progress", _MARK)
    until = now - BEHIND
    found = db.execute(f"{_NEXT} LIMIT ?", (*mark(db), until, rows)).fetchall()
    _put(db, [row for row in found if row["state"] != "open"])
    more = len(found) == rows
    last = (found[-1]["opened_at"], found[-1]["id"]) if more else (max(until, mark(db)[0]), "")
    db.execute(_MOVE, (_MARK, *last))
    return more


def late(entries: Iterable[Entry], now: float) -> list[Place]:
    """The requests among these that ended so late that the mark may have passed them."""
    return [(one.opened_at, one.id) for one in entries if one.state != "open" and one.opened_at < now - LATE]


def unended(db: Connection, places: Sequence[Place]) -> list[Place]:
    """Requests that the mark has passed and that had not ended until now: they are in no sum. Called before they are written."""
    if not places:
        return []
    db.lock("progress", _MARK)
    passed = mark(db)
    return [one for one in places if one <= passed and db.execute(_ENDED_OF, one).fetchone() is None]


def catch_up(db: Connection, places: Sequence[Place]) -> None:
    """Adds requests to the sums that the mark had passed and that have ended now."""
    _put(db, [row for one in places if (row := db.execute(_ENDED_OF, one).fetchone()) is not None])


def forget(db: Connection, before: float, now: float) -> None:
    """Removes old sums, and those that are not needed any more."""
    for step, kept in KEPT.items():
        db.execute("DELETE FROM rollups WHERE step = ? AND start < ?", (step, max(before - step, now - kept)))


def _put(db: Connection, rows: Sequence[Row]) -> None:
    fresh: dict[tuple[int, float, str], Sums] = {}
    for row in rows:
        target = json.dumps((row["provider"], row["model"]))
        for step in STEPS:
            start = row["opened_at"] // step * step
            fresh.setdefault((step, start, target), Sums()).add(row)
    for (step, start, target), sums in fresh.items():
        known = db.execute(
            "SELECT * FROM rollups WHERE step = ? AND start = ? AND target = ?", (step, start, target)
        ).fetchone()
        if known is not None:
            sums.merge(_sums(known))
        counts = json.dumps({name: counted for name, counted in sums.counts.items() if counted})
        db.execute(_PUT, (step, start, target, *(getattr(sums, name) for name in _SUMS), counts))


def _sums(row: Row) -> Sums:
    sums = Sums(*(row[name] for name in _SUMS))
    for name, counted in json.loads(row["counts"]).items():
        sums.counts[name].update({int(bucket): count for bucket, count in counted.items()})
    return sums


def number(db: Connection, step: int, start: float, stop: float) -> int:
    """The number of finished requests that began in the span."""
    [rolled] = db.execute(
        "SELECT coalesce(sum(requests), 0) FROM rollups WHERE step = ? AND start >= ? AND start < ?",
        (step, start, stop),
    ).fetchone()
    [newer] = db.execute(
        "SELECT count(*) FROM ledger WHERE (opened_at, id) > (?, ?) AND opened_at >= ? AND opened_at < ? "
        "AND state <> 'open'",
        (*mark(db), start, stop),
    ).fetchone()
    return int(rolled) + int(newer)


def between(db: Connection, step: int, start: float, stop: float) -> dict[tuple[float, Target], Sums]:
    """By the beginning of each step and by target: from the sums up to the mark, and from the ledger after it."""
    found: dict[tuple[float, Target], Sums] = {}
    for row in db.execute("SELECT * FROM rollups WHERE step = ? AND start >= ? AND start < ?", (step, start, stop)):
        provider, model = json.loads(row["target"])
        found[row["start"], (provider, model)] = _sums(row)
    for row in db.execute(_NEXT, (*max(mark(db), (start, "")), stop)):
        if row["state"] != "open":
            key = row["opened_at"] // step * step, (row["provider"], row["model"])
            found.setdefault(key, Sums()).add(row)
    return found
