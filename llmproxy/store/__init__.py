"""What outlives a request: threads, the ledger, keys and what was spent of budgets.

Jobs are functions of a connection, written once for all engines: threads.py, messages.py, ledger.py and their neighbours, in the
SQL that connection.py describes. worker.py runs them in threads; engine.py says what a kind of database must do: sqlite/ (one
file, or memory) and postgres/ (a server, for several replicas).
"""

from __future__ import annotations

import asyncio
import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from llmproxy.core.chat import Json
from llmproxy.core.errors import Damaged, NotFound, StoreError
from llmproxy.core.record import RequestRecord
from llmproxy.observe.log import log
from llmproxy.observe.periodic import failed

from . import ledger, messages, owners, performance, replay, rollups, search, spend, threads
from .backlog import Backlog, Unwritten
from .chores import Chores
from .engine import engine_of
from .ledger import Entry, Ledger
from .spend import Spent
from .worker import Worker

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["Damaged", "Entry", "Ledger", "NotFound", "Store", "StoreError"]

P = ParamSpec("P")
T = TypeVar("T")
TIDY_SECONDS = 3600.0
CHORES_SECONDS = 60.0
CROWDED_SECONDS = 1.0
SLICE_SECONDS = 0.02  # from which on no further part of a slice is begun
DAY = 86_400.0
# With each change the database looks whether the readers are gone that its log of changes was kept for.
_LOOK_AGAIN = (
    "INSERT INTO progress (id, place) VALUES ('crowded', ?) ON CONFLICT (id) DO UPDATE SET place = excluded.place"
)
_READS = 1  # of one transaction: nobody's look waits for more than the one before it


class Store:
    """Nothing is opened before the first job, and nothing runs between jobs.

    A job is a function of a connection: `await store.write(threads.create, owner, now)`. What `write` has given back is
    on disk. where: the folder of an SQLite database, made if need be, or the URL of a PostgreSQL one; None keeps everything in
    memory, while the process lives. process: who this is among all that use the database. lives_until: how long others count it
    as alive at least, by time.monotonic.
    heirs: owners of before and of now, see `owners.adopt`.
    tape_bytes, tape_hours: of all answers' events together; in memory none are kept, as it is memory that they make room in.
    """

    def __init__(
        self,
        where: Path | str | None,
        ledger_days: int = 30,
        *,
        tape_bytes: int = 64 * 1024 * 1024,
        tape_hours: float = 24.0,
        heirs: Mapping[str, str] | None = None,
    ) -> None:
        self.process = secrets.token_hex(8)
        self._engine = engine_of(where)
        self.tape_bytes = tape_bytes if self._engine.lasting else 0
        self._tape_seconds = tape_hours * 3600
        self.ledger = Ledger(self.write)
        self.backlog = Backlog(self.write_for)
        self.replicas = 1  # processes that share the database as equals, as far as is known
        self._ledger_days = ledger_days
        self._heirs = heirs or {}
        self._there = not self._engine.lasting  # the schema is in the file: readers may open it
        self._tidy_at = math.inf
        self._chores = Chores(lambda: self._writer.submit("", self._slice))
        self._chores_at = math.inf
        self._unfinished = False  # there was more to do when the database was opened
        self.lives_until = math.inf
        self.fault = ""  # why nothing can be kept just now; empty while all is well
        self.failures = 0
        self._writer = Worker("store", self._engine, self._open, self._engine.begins[0], heard=self._heard)
        # A database in memory is seen by its own connection only.
        reading, begin = partial(self._engine.connect, reading=True), self._engine.begins[1]
        self._reader, self._searcher, self._analyst = (
            Worker(name, self._engine, reading, begin, batch=_READS) if self._engine.lasting else self._writer
            for name in ("reads", "search", "sums")
        )

    def write(
        self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Queues a change at once; the future is done when it is on disk."""
        if time.monotonic() > self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_SECONDS
            self._writer.submit("", self._tidy).add_done_callback(_done("store_tidy"))
        if time.monotonic() > self._chores_at:
            self._begin_chores()
        return self._writer.submit("", job, *args, **kwargs)

    def write_for(
        self, owner: str, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """As `write`, in the owner's turn. Changes that must keep their order are all of one owner."""
        return self._writer.submit(owner, job, *args, **kwargs)

    async def write_surely(
        self, owner: str, size: int, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `write_for`. What fails raises StoreError, and is done all the same when the database takes changes again.

        The job may be done twice. size: bytes that it holds in memory meanwhile.
        """
        try:
            return await self.write_for(owner, job, *args, **kwargs)
        except StoreError:
            self.backlog.put(Unwritten(owner, size, lambda db: job(db, *args, **kwargs)))
            raise

    @property
    def unwritten(self) -> int:
        """Entries and answers that wait in memory for a database that does not take them."""
        return len(self.backlog) + (len(self.ledger) if self.fault else 0)

    def _begin_chores(self) -> None:
        self._chores_at = time.monotonic() + CHORES_SECONDS
        self._chores.begin()

    async def delete_all(self, owner: str) -> None:
        """Everything of an owner is seen by nobody from now on, and removed in slices beside other work."""
        now = time.time()
        while await self.write_for(owner, threads.mark_all, owner, now):
            pass
        self._begin_chores()

    async def read(self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Looks something up, beside the writer. Sees everything that `write` had acknowledged.

        It is done in the turn of its first argument, where that is an owner.
        """
        await self._made()
        return await self._reader.submit(_owner(args), job, *args, **kwargs)

    async def read_slowly(self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, beside all other reads: for what looks at much, as exports and sums do."""
        await self._made()
        return await self._analyst.submit(_owner(args), job, *args, **kwargs)

    async def figures(self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read_slowly`. It ends when nobody waits for it. Raises StoreError if it takes too long."""
        await self._made()
        left = threading.Event()
        try:
            return await self._analyst.submit("", performance.bounded, left, partial(_given, job, args, kwargs))
        finally:
            left.set()

    async def _made(self) -> None:
        """The schema is in the file."""
        if not self._there:
            await self._writer.submit("", _nothing)
            self._there = True

    async def search(self, owner: str, words: str) -> list[Json]:
        """Searches beside all other reads. It ends when nobody waits for it. Raises StoreError if it takes too long."""
        await self._made()
        left = threading.Event()
        try:
            return await self._searcher.submit(
                owner, search.bounded, left, partial(search.search, owner=owner, words=words)
            )
        finally:
            left.set()

    def note(self, record: RequestRecord, spent: Sequence[Spent] = ()) -> None:
        """Puts a request's record into the ledger, with what it cost budgets."""
        self.ledger.put(Entry.of(record, self.process), ledger.attempt_rows(record), spent)

    def open_soon(self) -> None:
        """Opens the database beside what else is done. What fails is told as at any other job."""
        self.write(_nothing).add_done_callback(lambda job: job.cancelled() or job.exception())

    def settle(self, ledger_days: int, tape_bytes: int, tape_hours: float) -> None:
        """How long what is kept is kept, from now on."""
        self._ledger_days, self._tape_seconds = ledger_days, tape_hours * 3600
        self.tape_bytes = tape_bytes if self._engine.lasting else 0

    def adopt(self, heirs: Mapping[str, str]) -> None:
        """Moves what the owners in `heirs` had to those who they are now, as it is done when the database is opened."""
        self._heirs = heirs
        self._writer.submit("", adopt, heirs).add_done_callback(_done("owners"))

    async def beat(self) -> bool:
        """Says that this process lives, and takes care of what dead ones left. Once a second, where their end is not seen.

        False: it was silent for so long that it was taken for dead. It begins anew, as another process with no leases.
        """
        if self._engine.alive_seconds == math.inf:
            return True
        began, process = time.monotonic(), self.process
        alive = await self.write(self._engine.beat, process)
        if alive:
            self.replicas = max(2, alive)  # at any moment another one may come
        else:
            self.process = secrets.token_hex(8)
            log.warning("replica_taken_for_dead", process=process, now=self.process)
            await self.write(self._engine.enter, self.process)
        self.lives_until = began + self._engine.alive_seconds
        await self.write(self._sweep, time.time())
        return alive > 0

    async def close(self) -> None:
        """Writes what waits, then closes the file."""
        self.ledger.flush()
        self.backlog.flush()
        self._chores.close()
        await self._writer.close()
        await self._reader.close()
        await self._searcher.close()
        await self._analyst.close()
        await asyncio.to_thread(self._engine.leave, self.process)

    def check(self) -> None:
        """Opens and closes the database, for `llmproxy check`. Raises StoreError with what is wrong."""
        self._engine.check()

    async def __aenter__(self) -> Store:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def _heard(self, failure: Exception | None) -> None:
        """After each batch: says once that the database fails, and once that it works again."""
        if self._unfinished:
            self._unfinished = False
            self._begin_chores()
        if failure is not None:
            self.failures += 1
            if not self.fault:
                self.fault = str(failure) or type(failure).__name__
                log.error("storage_failed", reason=f"{self.fault} {getattr(failure, 'detail', '')}".strip())
        elif self.fault:
            self.fault = ""
            log.info("storage_recovered", failures=self.failures)
            self.ledger.flush()
            self.backlog.flush()

    def _open(self) -> Connection:
        began, connection = time.monotonic(), self._engine.connect()
        try:
            self._engine.enter(connection, self.process)
            connection.execute(self._engine.begins[0])
            adopt(connection, self._heirs)
            self._tidy(connection)
            self._unfinished = self._slice(connection) is not None
            connection.execute("COMMIT")
            self._chores_at = time.monotonic() + CHORES_SECONDS
            if self.lives_until == math.inf:
                self.lives_until = began + self._engine.alive_seconds
        except BaseException as error:
            connection.close()
            if isinstance(error, Exception) and self._engine.is_failure(error):
                raise self._engine.translated(error) from error
            raise
        return connection

    def _tidy(self, db: Connection) -> None:
        """What a process left behind when it ended."""
        self._sweep(db, time.time())
        self._tidy_at = time.monotonic() + TIDY_SECONDS

    def _slice(self, db: Connection) -> float | None:
        """A part of what is done beside the jobs. Gives the seconds until the next one; None where nothing is left to do."""
        if not db.alone("chores"):
            return None
        now = time.time()
        if db.crowded:
            db.execute(_LOOK_AGAIN, (now,))
            return CROWDED_SECONDS
        before = now - self._ledger_days * DAY
        rollups.forget(db, before, now)
        until = time.monotonic() + SLICE_SECONDS
        parts: tuple[Callable[[], bool], ...] = (
            lambda: threads.remove(db, now),
            lambda: ledger.forget(db, before),
            lambda: replay.forget(db, now - self._tape_seconds),
            lambda: rollups.advance(db, now),
        )
        more = [_more(part, until) for part in parts]
        return 0.0 if any(more) or _more(db.compact, until) else None

    def _sweep(self, db: Connection, now: float) -> None:
        """What processes that died have left open is closed, by one of those that live."""
        dead = (_left_open(db) | self._engine.entered(db)) - self._engine.living(db) - {self.process}
        if not dead or not db.alone("sweep"):
            return
        for process in sorted(dead):
            self._engine.bury(db, process)
            messages.lose(db, process)
            spend.settle_dead(db, process)
            ledger.lose(db, process, now)


def _done(name: str) -> Callable[[asyncio.Future[None]], None]:
    """Logs and counts the failure of a job that nobody waits for."""

    def done(job: asyncio.Future[None]) -> None:
        if not job.cancelled() and (error := job.exception()) is not None:
            failed(name, error)

    return done


def adopt(db: Connection, heirs: Mapping[str, str]) -> None:
    """Moves rows to the owners of now, and logs what moved."""
    for one in owners.adopt(db, heirs):
        event = "owner_adopted" if one.to is not None else "owner_unknown"
        log.warning(event, owner=one.owner, to=one.to, threads=one.threads, requests=one.requests)


def _owner(args: tuple[object, ...]) -> str:
    return args[0] if args and isinstance(args[0], str) else ""


def _given(job: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], db: Connection) -> T:
    return job(db, *args, **kwargs)


def _more(part: Callable[[], bool], until: float) -> bool:
    """Does a part of a slice, and again while there is more of it and time. Gives whether there is more."""
    while more := part():
        if time.monotonic() > until:
            break
    return more


def _nothing(db: Connection) -> None:
    """Opens the database."""


def _left_open(db: Connection) -> set[str]:
    """The processes that have something unfinished."""
    rows = db.execute(
        "SELECT process FROM messages WHERE state = 'streaming' UNION SELECT process FROM ledger WHERE state = 'open' "
        "UNION SELECT process FROM leases"
    )
    return {process for (process,) in rows}
