"""Usage database ("ledger"): one row per request and one per attempt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from llmproxy.core.record import RequestRecord
from llmproxy.core.usage import Tokens, UsageSource
from llmproxy.observe.periodic import attempt

from . import rollups
from .spend import PotKey, Spent, living, settle

if TYPE_CHECKING:
    from .connection import Connection, Row

State = Literal["open", "completed", "cancelled", "failed", "lost"]
LINGER = 0.05  # seconds that entries wait to be written together; may be lost by kill -9
AGAIN = 1.0  # seconds after a failure until they are written again, if the database has not come back before
KEPT_BACK = 50_000  # entries in memory while the database does not accept them


class Entry(NamedTuple):
    """One request: the members of its record, and the process.

    Written `open` when it is admitted, and once more, replaced as a whole, when it has ended.

    opened_at, closed_at: Unix seconds. closed_ms: from the cancel until the provider's connection was closed.
    usage_source: who counted the tokens. status: what the client saw.
    """

    opened_at: float
    id: str
    process: str
    owner: str = ""
    face: str = "chat"
    state: State = "open"
    stopped_by: str | None = None
    closed_at: float | None = None
    model: str | None = None
    provider: str | None = None
    provider_model: str | None = None
    attempts: int = 0
    status: int | None = None
    code: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_reasoning: int | None = None
    tokens_cached: int | None = None
    usage_source: UsageSource = "none"
    cost_e12: int | None = None
    ttft_ms: float | None = None
    duration_ms: float | None = None
    closed_ms: float | None = None
    tokens_per_second: float | None = None
    group: str = ""
    uid: str = ""  # a second id, which names the process; empty where the first one does

    @classmethod
    def of(cls, record: RequestRecord, process: str) -> Entry:
        """The row of a request that `process` answers."""
        return tuple.__new__(cls, (*record[:2], process, *record[2:_OF_RECORD]))


_OF_RECORD = len(Entry._fields) - 1  # members of a record that are columns


class AttemptRow(NamedTuple):
    """One attempt, in addition to the row of its request; the members of its record, its tokens by class."""

    opened_at: float
    id: str
    number: int
    owner: str
    group: str
    provider: str
    model: str
    state: str
    code: str | None
    sent: bool
    provider_id: str | None
    input: int | None
    cache_read: int | None
    cache_write_5m: int | None
    cache_write_1h: int | None
    output: int | None
    reasoning: int | None
    audio_in: int | None
    audio_out: int | None
    image_in: int | None
    image_out: int | None
    calls: int | None
    usage_source: str
    cost_e12: int | None
    price_id: str | None
    ttft_ms: float | None
    duration_ms: float | None


_UNCOUNTED = (None,) * len(Tokens._fields)


def attempt_rows(record: RequestRecord) -> list[AttemptRow]:
    """The attempts of a request."""
    head = (record.opened_at, record.id)
    return [
        tuple.__new__(
            AttemptRow,
            (
                *head, one.number, record.owner, record.group, one.provider, one.model, one.state, one.code, one.sent,
                one.provider_id, *(one.tokens or _UNCOUNTED), one.usage_source, one.cost_e12, one.price_id, one.ttft_ms,
                one.duration_ms,
            ),
        )
        for one in record.tries
    ]  # fmt: skip


# Rows of one statement: each statement hands the interpreter to the requests' thread and back, which costs both of them.
_TOGETHER = (256, 64, 16, 4, 1)


def _statements(table: str, names: tuple[str, ...], key: tuple[str, ...]) -> dict[int, str]:
    """Statements that insert or replace rows with the same key."""
    names = tuple("grp" if name == "group" else name for name in names)  # a word that SQL keeps for itself
    row = f"({', '.join('?' * len(names))})"
    changed = ", ".join(f"{name} = excluded.{name}" for name in names if name not in key)
    replace = f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changed}"
    return {
        size: f"INSERT INTO {table} ({', '.join(names)}) VALUES {row}" + f", {row}" * (size - 1) + replace
        for size in _TOGETHER
    }


_REQUESTS = _statements("ledger", Entry._fields, ("opened_at", "id"))
_ATTEMPTS = _statements("attempts", AttemptRow._fields, ("opened_at", "id", "number"))


class Submit(Protocol):
    """How the ledger writes to the database: the store's `write`."""

    def __call__(self, job: Callable[[Connection, list[Put]], None], entries: list[Put], /) -> asyncio.Future[None]: ...


Put = tuple[Entry, Sequence[AttemptRow], Sequence[Spent]]
Key = tuple[float, str]  # opened_at and id of an entry
Batch = dict[Key, Put]  # entries that are written together


class Ledger:
    """Collects entries and writes them together. A request that opens and closes in between costs one row, written once.

    While some are being written, others are collected: a busy database gets few large writes, and not many small ones.
    An entry that could not be written is written later with the next ones, but never over a newer one of the same request.
    """

    def __init__(self, submit: Submit) -> None:
        self.dropped = 0  # entries given up because the disk took none for too long
        self._submit = submit
        self._waiting: Batch = {}
        self._writing: list[Batch] = []  # as they were submitted
        self._unsure: set[Key] = set()  # entries that may have been written when that failed
        self._timer: asyncio.TimerHandle | None = None

    def put(self, entry: Entry, attempts: Sequence[AttemptRow] = (), spent: Sequence[Spent] = ()) -> None:
        """Adds an entry and returns at once; it is on disk after LINGER and one commit."""
        key = (entry.opened_at, entry.id)
        before = self._waiting.get(key)
        self._waiting[key] = (entry, attempts, spent if before is None else (*before[2], *spent))
        if self._timer is None and not self._writing:
            self._flush_in(LINGER)

    def _flush_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, attempt, self.flush, "ledger")

    def __len__(self) -> int:
        return len(self._waiting)

    def flush(self) -> None:
        """Submits the waiting entries."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            return
        batch, self._waiting = self._waiting, {}
        try:
            writing = self._submit(partial(write, unsure=self._unsure & batch.keys()), list(batch.values()))
        except Exception:  # noqa: BLE001  # the store is full or closed: they wait for the next turn
            self._keep(batch, ())
            return
        self._writing.append(batch)
        writing.add_done_callback(partial(self._written, batch))

    def _written(self, batch: Batch, done: asyncio.Future[None]) -> None:
        at = next(at for at, one in enumerate(self._writing) if one is batch)
        later = self._writing[at + 1 :]
        del self._writing[at]
        error = None if done.cancelled() else done.exception()
        failed = error is not None or done.cancelled()
        if not failed:
            self._unsure -= batch.keys()
        elif getattr(error, "unsure", True):
            self._unsure |= batch.keys()
        if failed:
            self._keep(batch, later)
        if self._waiting and self._timer is None and not self._writing:
            self._flush_in(AGAIN if failed else LINGER)

    def _keep(self, batch: Batch, later: Sequence[Batch]) -> None:
        """Puts entries that could not be written before those that wait. later: the batches submitted after this one."""
        kept: Batch = {}
        for key, (entry, attempts, spent) in batch.items():
            after = [one[key] for one in (*later, self._waiting) if key in one]
            if not after:
                kept[key] = (entry, attempts, spent)
            elif key in self._waiting:
                self._waiting[key] = (*after[-1][:2], (*spent, *after[-1][2]))
            elif spent:
                kept[key] = (*after[-1][:2], spent)
        room = max(KEPT_BACK - len(self._waiting), 0)
        for key in list(kept)[: len(kept) - room]:
            del kept[key]
            self.dropped += 1
        self._waiting = {**kept, **self._waiting}
        self._unsure -= batch.keys() - self._waiting.keys()


def write(db: Connection, entries: list[Put], unsure: Collection[Key] = ()) -> None:
    """unsure: entries that may have been written before. Their cost is not settled twice, and none is opened again."""
    known = {key: state for key in unsure if (state := _state(db, *key)) is not None}
    entries = [one for one in entries if one[0].state != "open" or (one[0].opened_at, one[0].id) not in known]
    spent = [
        (entry, _summed(many))
        for entry, _, many in entries
        if many and known.get((entry.opened_at, entry.id), "open") in ("open", "lost")
    ]
    alive = living(db, {one.process for _, many in spent for one in many if one.process})
    beyond = [one for entry, many in spent for one in _beyond(db, entry, many, alive)]
    requests = [entry for entry, _, _ in entries]
    unsummed = rollups.unended(db, rollups.late(requests, time.time()))
    _insert(db, _REQUESTS, requests)
    rollups.catch_up(db, unsummed)
    _insert(db, _ATTEMPTS, [row for _, rows, _ in entries for row in rows])
    settle(db, beyond)


def _state(db: Connection, opened_at: float, id: str) -> str | None:
    row = db.execute("SELECT state FROM ledger WHERE opened_at = ? AND id = ?", (opened_at, id)).fetchone()
    return None if row is None else str(row[0])


def _summed(spent: Sequence[Spent]) -> Sequence[Spent]:
    """What one request has spent, each budget once."""
    if len(spent) < 2:
        return spent
    sums: dict[tuple[PotKey, str], int] = {}
    for one in spent:
        sums[one.pot, one.process] = sums.get((one.pot, one.process), 0) + one.cost_e12
    return [Spent(pot, process, cost) for (pot, process), cost in sums.items()]


def _beyond(db: Connection, entry: Entry, spent: Sequence[Spent], alive: Collection[str]) -> Sequence[Spent]:
    """What a request has spent beyond what counted when its process was taken for dead: what its open attempts held."""
    dead = {one.pot: one for one in spent if one.process not in alive}  # of each budget one, as that counted once
    if not dead:
        return spent
    [held] = db.execute(
        "SELECT coalesce(sum(cost_e12), 0) FROM attempts WHERE opened_at = ? AND id = ? AND "
        "EXISTS (SELECT 1 FROM ledger WHERE opened_at = ? AND id = ? AND state = 'lost')",
        (entry.opened_at, entry.id) * 2,
    ).fetchone()
    return [one._replace(cost_e12=one.cost_e12 - int(held)) if one is dead.get(one.pot) else one for one in spent]


def _insert(db: Connection, statements: dict[int, str], rows: Sequence[tuple[Any, ...]]) -> None:
    at = 0
    for size, statement in statements.items():
        while len(rows) - at >= size:
            db.execute(statement, list(chain.from_iterable(rows[at : at + size])))
            at += size


def lose(db: Connection, process: str, now: float) -> None:
    """Closes what a process left open when it ended. What its providers billed is unknown."""
    left = db.execute("SELECT opened_at, id FROM ledger WHERE state = 'open' AND process = ?", (process,)).fetchall()
    unsummed = rollups.unended(db, [(opened_at, id) for opened_at, id in left])
    db.execute(
        "UPDATE attempts SET state = 'unknown' WHERE state IN ('opening', 'open') AND (opened_at, id) IN "
        "(SELECT opened_at, id FROM ledger WHERE state = 'open' AND process = ?)",
        (process,),
    )
    db.execute("UPDATE ledger SET state = 'lost', closed_at = ? WHERE state = 'open' AND process = ?", (now, process))
    rollups.catch_up(db, unsummed)


REMEMBERED = 600.0  # seconds for which a request that has ended is found by its ID: there is no index of all IDs
_UNENDED = "SELECT * FROM ledger WHERE state IN ('open', 'lost') AND {} ORDER BY opened_at DESC"
_ENDED = "SELECT * FROM ledger WHERE opened_at > ? AND {} ORDER BY opened_at DESC"


def remembered(db: Connection, owner: str | None, id: str, now: float) -> Row | None:
    """The newest request of this id, the client's or ours; of one owner, or of all.

    One without a recorded end is preferred; one that has ended is found for a while.
    """
    for query, since in ((_UNENDED, ()), (_ENDED, (now - REMEMBERED,))):
        for which in ("id = ?", "uid <> '' AND uid = ?"):
            for row in db.execute(query.format(which), (*since, id)):
                if owner is None or row["owner"] == owner:
                    return row
    return None


FORGOTTEN = 1000  # rows that one slice removes
_OLD = "SELECT opened_at, id FROM ledger WHERE opened_at < ? AND state <> 'open' ORDER BY opened_at, id LIMIT ?"


def forget(db: Connection, before: float, rows: int = FORGOTTEN) -> bool:
    """Removes requests of long ago with their attempts, so many at most. Gives whether there are more."""
    old = db.execute(_OLD, (before, rows)).fetchall()
    if old:
        last = (old[-1][0], old[-1][1])
        for table in ("attempts", "ledger"):
            db.execute(
                f"DELETE FROM {table} WHERE (opened_at, id) <= (?, ?) AND (opened_at, id) NOT IN "
                "(SELECT opened_at, id FROM ledger WHERE state = 'open')",
                last,
            )
    return len(old) == rows
