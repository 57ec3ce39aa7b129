"""The ledger: one row for every admitted request, written beside the requests and never in their way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from llmproxy.core.record import RequestRecord
from llmproxy.observe.periodic import attempt

if TYPE_CHECKING:
    from sqlite3 import Connection

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
    cost: float | None = None
    ttft_ms: float | None = None
    duration_ms: float | None = None
    closed_ms: float | None = None
    tokens_per_second: float | None = None

    @classmethod
    def of(cls, record: RequestRecord, process: str) -> Entry:
        """The row of a request that `process` answers."""
        return cls._make((*record[:2], process, *record[2 : len(cls._fields) - 1]))


_NAMES = Entry._fields
_ROW = f"({', '.join('?' * len(_NAMES))})"
# Rows of one statement: each statement hands the interpreter to the requests' thread and back, which costs both of them.
_TOGETHER = (256, 64, 16, 4, 1)
_WRITE = f"INSERT OR REPLACE INTO ledger ({', '.join(_NAMES)}) VALUES {_ROW}"
_STATEMENTS = {size: _WRITE + f", {_ROW}" * (size - 1) for size in _TOGETHER}


class Submit(Protocol):
    """How the ledger reaches the database: the store's `write`."""

    def __call__(
        self, job: Callable[[Connection, list[Entry]], None], entries: list[Entry], /
    ) -> asyncio.Future[None]: ...


class Ledger:
    """Gathers entries and writes them together. A request that opens and closes in between costs one row, once."""

    def __init__(self, submit: Submit) -> None:
        self.dropped = 0  # entries given up because the disk took none for too long
        self._submit = submit
        self._waiting: deque[Entry] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def put(self, entry: Entry) -> None:
        """Takes note and returns at once; on disk within LINGER and one commit."""
        self._waiting.append(entry)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LINGER, attempt, self.flush, "ledger")

    def flush(self) -> None:
        """Hands over what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            return
        entries = list({(entry.opened_at, entry.id): entry for entry in self._waiting}.values())
        self._waiting.clear()
        try:
            writing = self._submit(write, entries)
        except Exception:  # noqa: BLE001  # the store is full or closed: they wait for the next turn
            self._keep(entries)
            return
        writing.add_done_callback(lambda done: self._keep(entries) if _failed(done) else None)

    def _keep(self, entries: list[Entry]) -> None:
        """Entries that could not be written go to the front again, to be written with the next ones."""
        room = max(KEPT_BACK - len(self._waiting), 0)
        kept = entries[-room:] if room else []
        self.dropped += len(entries) - len(kept)
        self._waiting.extendleft(reversed(kept))


def write(db: Connection, entries: list[Entry]) -> None:
    at = 0
    for size, statement in _STATEMENTS.items():
        while len(entries) - at >= size:
            db.execute(statement, list(chain.from_iterable(entries[at : at + size])))
            at += size


def lose(db: Connection, process: str, now: float) -> None:
    """Closes what a process left open when it ended."""
    db.execute("UPDATE ledger SET state = 'lost', closed_at = ? WHERE state = 'open' AND process = ?", (now, process))


def forget(db: Connection, before: float) -> None:
    """Removes the requests of long ago."""
    db.execute("DELETE FROM ledger WHERE opened_at < ? AND state <> 'open'", (before,))


def _failed(done: asyncio.Future[None]) -> bool:
    return done.cancelled() or done.exception() is not None
