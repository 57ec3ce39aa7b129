"""Usage database ("ledger"): one row per request and one per attempt."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from llmproxy.core.record import RequestRecord
from llmproxy.core.usage import Tokens
from llmproxy.observe.periodic import attempt

from . import rollups
from .spend import Spent, settle

if TYPE_CHECKING:
    from .connection import Connection

State = Literal["open", "completed", "cancelled", "failed", "lost"]
LINGER = 0.05  # seconds that entries wait for company: what a kill -9 can take
KEPT_BACK = 50_000  # entries held in memory while the disk does not take them


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
    usage_source: Literal["provider", "estimated", "none"] = "none"
    cost_e12: int | None = None
    ttft_ms: float | None = None
    duration_ms: float | None = None
    closed_ms: float | None = None
    tokens_per_second: float | None = None
    group: str = ""

    @classmethod
    def of(cls, record: RequestRecord, process: str) -> Entry:
        """The row of a request that `process` answers."""
        return cls._make((*record[:2], process, *record[2 : len(cls._fields) - 1]))


class AttemptRow(NamedTuple):
    """One attempt, beside the row of its request; the members of its record, its tokens by class."""

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
        AttemptRow._make(
            (
                *head, one.number, record.owner, record.group, one.provider, one.model, one.state, one.code, one.sent,
                one.provider_id, *(one.tokens or _UNCOUNTED), one.usage_source, one.cost_e12, one.price_id, one.ttft_ms,
                one.duration_ms,
            )
        )
        for one in record.tries
    ]  # fmt: skip


# Rows of one statement: each statement hands the interpreter to the requests' thread and back, which costs both of them.
_TOGETHER = (256, 64, 16, 4, 1)


def _statements(table: str, names: tuple[str, ...], key: tuple[str, ...]) -> dict[int, str]:
    """Rows that take the place of those of the same key."""
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
    """How the ledger reaches the database: the store's `write`."""

    def __call__(self, job: Callable[[Connection, list[Put]], None], entries: list[Put], /) -> asyncio.Future[None]: ...


Put = tuple[Entry, Sequence[AttemptRow], Sequence[Spent]]


class Ledger:
    """Gathers entries and writes them together. A request that opens and closes in between costs one row, once."""

    def __init__(self, submit: Submit) -> None:
        self.dropped = 0  # entries given up because the disk took none for too long
        self._submit = submit
        self._waiting: deque[Put] = deque()
        self._unsure: set[tuple[float, str]] = set()  # entries that may have been written when that failed
        self._timer: asyncio.TimerHandle | None = None

    def put(self, entry: Entry, attempts: Sequence[AttemptRow] = (), spent: Sequence[Spent] = ()) -> None:
        """Takes note and returns at once; on disk within LINGER and one commit."""
        self._waiting.append((entry, attempts, spent))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LINGER, attempt, self.flush, "ledger")

    def __len__(self) -> int:
        return len(self._waiting)

    def flush(self) -> None:
        """Hands over what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            return
        entries = list({(one[0].opened_at, one[0].id): one for one in self._waiting}.values())
        self._waiting.clear()
        try:
            unsure = self._unsure & _keys(entries) if self._unsure else ()
            writing = self._submit(partial(write, unsure=unsure), entries)
        except Exception:  # noqa: BLE001  # the store is full or closed: they wait for the next turn
            self._keep(entries)
            return
        writing.add_done_callback(partial(self._written, entries))

    def _written(self, entries: list[Put], done: asyncio.Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is None and not done.cancelled():
            self._unsure -= _keys(entries) if self._unsure else set()
            return
        if getattr(error, "unsure", True):
            self._unsure |= _keys(entries)
        self._keep(entries)

    def _keep(self, entries: list[Put]) -> None:
        """Entries that could not be written go to the front again, to be written with the next ones."""
        room = max(KEPT_BACK - len(self._waiting), 0)
        kept = entries[-room:] if room else []
        self.dropped += len(entries) - len(kept)
        self._unsure -= _keys(entries[: len(entries) - len(kept)])
        self._waiting.extendleft(reversed(kept))


def _keys(entries: Sequence[Put]) -> set[tuple[float, str]]:
    return {(one[0].opened_at, one[0].id) for one in entries}


def write(db: Connection, entries: list[Put], unsure: Collection[tuple[float, str]] = ()) -> None:
    """unsure: entries that may have been written before. What they cost is not settled twice."""
    done = {key for key in unsure if _is_closed(db, *key)}
    requests = [entry for entry, _, _ in entries]
    unsummed = rollups.unended(db, rollups.late(requests, time.time()))
    _insert(db, _REQUESTS, requests)
    rollups.catch_up(db, unsummed)
    _insert(db, _ATTEMPTS, [row for _, rows, _ in entries for row in rows])
    settle(db, [one for entry, _, spent in entries if (entry.opened_at, entry.id) not in done for one in spent])


def _is_closed(db: Connection, opened_at: float, id: str) -> bool:
    row = db.execute("SELECT state FROM ledger WHERE opened_at = ? AND id = ?", (opened_at, id)).fetchone()
    return row is not None and row[0] != "open"


def _insert(db: Connection, statements: dict[int, str], rows: Sequence[tuple[Any, ...]]) -> None:
    at = 0
    for size, statement in statements.items():
        while len(rows) - at >= size:
            db.execute(statement, list(chain.from_iterable(rows[at : at + size])))
            at += size


def lose(db: Connection, process: str, now: float) -> None:
    """Closes what a process left open when it ended. What its providers billed for that, nobody knows here."""
    left = db.execute("SELECT opened_at, id FROM ledger WHERE state = 'open' AND process = ?", (process,)).fetchall()
    unsummed = rollups.unended(db, [(opened_at, id) for opened_at, id in left])
    db.execute(
        "UPDATE attempts SET state = 'unknown' WHERE state IN ('opening', 'open') AND (opened_at, id) IN "
        "(SELECT opened_at, id FROM ledger WHERE state = 'open' AND process = ?)",
        (process,),
    )
    db.execute("UPDATE ledger SET state = 'lost', closed_at = ? WHERE state = 'open' AND process = ?", (now, process))
    rollups.catch_up(db, unsummed)


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
