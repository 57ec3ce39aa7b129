"""The database of one process: opens it, runs jobs in its threads, and keeps its state of health."""

from __future__ import annotations

import asyncio
import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from llmproxy.core.chat import Json
from llmproxy.core.errors import StoreError
from llmproxy.core.record import RequestRecord
from llmproxy.observe.log import log
from llmproxy.observe.periodic import failed

from . import ledger, performance, restore, search, threads, upkeep
from .backlog import Backlog, Unwritten
from .chores import Chores
from .engine import engine_of
from .ledger import Entry, Ledger
from .spend import Spent
from .worker import Worker

if TYPE_CHECKING:
    from .connection import Connection

P = ParamSpec("P")
T = TypeVar("T")
TIDY_SECONDS = 3600.0
CHORES_SECONDS = 60.0
_READS = 1  # per transaction: a read waits at most for the one before it


class Remembered(NamedTuple):
    """A row of the ledger. lives: it has no end, and its process is considered alive. here: it is of this process."""

    row: Json
    lives: bool
    here: bool


class Store:
    """Nothing is opened before the first job, and nothing runs between jobs.

    A job is a function of a connection: `await store.write(threads.create, owner, now)`. When `write` returns, its change is on
    disk. where: the folder of an SQLite database, created if necessary, or the URL of a PostgreSQL one; None keeps everything
    in memory. process: the ID of this process among all that use the database. lives_until: how long others consider it alive
    at least, by time.monotonic.
    heirs: former and present owners, see `upkeep.adopt`.
    tape_bytes, tape_hours: limits for the events of all answers together; in memory none are kept, because they are removed
    from memory to save it.
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
        self.replicas = 1  # processes that share the database, as far as known
        self._ledger_days = ledger_days
        self._heirs = heirs or {}
        self._there = not self._engine.lasting  # the schema exists: readers may open the file
        self._tidy_at = math.inf
        self._chores = Chores(lambda: self._writer.submit("", self._slice))
        self._chores_at = math.inf
        self._unfinished = False  # there was unfinished work when the database was opened
        self.lives_until = math.inf
        self.keeps_back = True  # finished answers wait in memory while the database rejects changes
        self.fault = ""  # why nothing can be stored at the moment; empty if there is no fault
        self.failures = 0
        self._writer = Worker("store", self._engine, self._open, self._engine.begins[0], on_batch=self._batch_done)
        # A database in memory is only visible to its own connection.
        reading, begin = partial(self._engine.connect, reading=True), self._engine.begins[1]
        self._heart = Worker("heart", self._engine, reading, self._engine.begins[0], batch=1)
        self._reader, self._searcher, self._analyst = (
            Worker(name, self._engine, reading, begin, batch=_READS) if self._engine.lasting else self._writer
            for name in ("reads", "search", "sums")
        )

    def write(
        self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Queues a change at once; the future is done when the change is on disk."""
        if time.monotonic() > self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_SECONDS
            self._writer.submit("", self._tidy).add_done_callback(_done("store_tidy"))
        if time.monotonic() > self._chores_at:
            self._begin_chores()
        return self._writer.submit("", job, *args, **kwargs)

    def write_for(
        self, owner: str, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """As `write`, in the owner's turn. Changes whose order matters must have the same owner."""
        return self._writer.submit(owner, job, *args, **kwargs)

    async def write_surely(
        self, owner: str, size: int, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `write_for`. If it fails, it raises StoreError, and the change is made later when the database accepts changes
        again.

        The job may run twice. size: bytes that it holds in memory until then.
        """
        try:
            return await self.write_for(owner, job, *args, **kwargs)
        except StoreError:
            self.backlog.put(Unwritten(owner, size, lambda db: job(db, *args, **kwargs)))
            raise

    @property
    def unwritten(self) -> int:
        """Entries and answers that wait in memory until the database accepts them."""
        return len(self.backlog) + (len(self.ledger) if self.fault else 0)

    def _begin_chores(self) -> None:
        self._chores_at = time.monotonic() + CHORES_SECONDS
        self._chores.begin()

    async def delete_all(self, owner: str) -> None:
        """Hides everything of an owner at once; it is removed in slices in the background."""
        now = time.time()
        while await self.write_for(owner, threads.mark_all, owner, now):
            pass
        self._begin_chores()

    async def import_threads(self, owner: str, file: Any) -> list[str]:
        """Imports an export with new IDs, which it returns. On BadRequest nothing is imported."""
        given, now, progress = await asyncio.to_thread(restore.checked, file), time.time(), restore.Progress()
        while progress.shown < len(given):
            progress = await self.write_for(owner, restore.some, owner, given, progress, now)
        return list(progress.made)

    async def read(self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Reads from the database, in parallel to the writer. Sees everything that `write` had acknowledged.

        It runs in the turn of its first argument, if that is an owner.
        """
        await self._made()
        return await self._reader.submit(_owner(args), job, *args, **kwargs)

    async def read_slowly(self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, in a separate thread for long reads such as exports and sums."""
        await self._made()
        return await self._analyst.submit(_owner(args), job, *args, **kwargs)

    async def figures(self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read_slowly`. It ends when no caller waits for it any more. Raises StoreError if it takes too long."""
        await self._made()
        left = threading.Event()
        try:
            return await self._analyst.submit("", performance.bounded, left, partial(_given, job, args, kwargs))
        finally:
            left.set()

    async def _made(self) -> None:
        """The schema has been created."""
        if not self._there:
            await self._writer.submit("", _nothing)
            self._there = True

    async def search(self, owner: str, words: str) -> list[Json]:
        """Searches in a separate thread. It ends when no caller waits for it any more. Raises StoreError if it takes too long."""
        await self._made()
        left = threading.Event()
        try:
            return await self._searcher.submit(
                owner, search.bounded, left, partial(search.search, owner=owner, words=words)
            )
        finally:
            left.set()

    def note(self, record: RequestRecord, spent: Sequence[Spent] = ()) -> None:
        """Adds a request's record to the ledger, with its cost for budgets."""
        self.ledger.put(Entry.of(record, self.process), ledger.attempt_rows(record), spent)

    def open_soon(self) -> None:
        """Opens the database in the background. A failure is reported at the next job."""
        self.write(_nothing).add_done_callback(lambda job: job.cancelled() or job.exception())

    def settle(self, ledger_days: int, tape_bytes: int, tape_hours: float) -> None:
        """Sets for how long data is kept."""
        self._ledger_days, self._tape_seconds = ledger_days, tape_hours * 3600
        self.tape_bytes = tape_bytes if self._engine.lasting else 0

    def adopt(self, heirs: Mapping[str, str]) -> None:
        """Moves the data of former owners in `heirs` to the present ones, as is done when the database is opened."""
        self._heirs = heirs
        self._writer.submit("", upkeep.adopt, heirs).add_done_callback(_done("owners"))

    async def beat(self) -> bool:
        """The heartbeat of this process, called once a second; nothing to do if the engine sees the end of processes itself.

        It has a connection of its own: a busy process is not a dead one.

        False: it was silent for so long that others consider it dead. It continues as a new process without leases.
        """
        if self._engine.alive_seconds == math.inf:
            return True
        await self._made()
        began, process = time.monotonic(), self.process
        alive = await self._heart.submit("", self._engine.beat, process)
        if alive:
            self.replicas = max(2, alive)  # another one may join at any moment
        else:
            fresh = secrets.token_hex(8)
            await self._heart.submit("", self._engine.enter, fresh)
            self.process = fresh
            log.warning("replica_taken_for_dead", process=process, now=fresh)
        self.lives_until = began + self._engine.alive_seconds
        return alive > 0

    async def sweep(self) -> None:
        """Closes what dead processes have left open. Called once a second, as `beat`."""
        if self._engine.alive_seconds != math.inf:
            await self.write(self._sweep, time.time())

    async def remembered(self, owner: str | None, id: str) -> Remembered | None:
        """The newest request with this ID in the ledger, without an end or ended lately; of one owner, or of all."""
        return await self.read(self._remembered, owner or "", id, owner)

    async def meet(self, address: str) -> list[str]:
        """Publishes the address of this process; returns the addresses of all live processes."""
        return await self.write(self._engine.meet, self.process, address)

    async def close(self) -> None:
        """Writes everything that waits, then closes the file."""
        self.ledger.flush()
        self.backlog.flush()
        self._chores.close()
        await self._writer.close()
        await self._heart.close()
        await self._reader.close()
        await self._searcher.close()
        await self._analyst.close()
        await asyncio.to_thread(self._engine.leave, self.process)

    def check(self) -> None:
        """Opens and closes the database, for `llmproxy check`. Raises StoreError with the problem."""
        self._engine.check()

    async def __aenter__(self) -> Store:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def _batch_done(self, failure: Exception | None) -> None:
        """Called after each batch: logs once that the database fails, and once that it works again."""
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
            upkeep.adopt(connection, self._heirs)
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

    def _remembered(self, db: Connection, turn: str, id: str, owner: str | None) -> Remembered | None:
        row = ledger.remembered(db, owner, id, time.time())
        if row is None:
            return None
        here = row["process"] == self.process
        lives = row["state"] == "open" and (here or row["process"] in self._engine.living(db))
        return Remembered(dict(row), lives, here)

    def _tidy(self, db: Connection) -> None:
        """Cleans up after processes that have ended."""
        self._sweep(db, time.time())
        self._tidy_at = time.monotonic() + TIDY_SECONDS

    def _slice(self, db: Connection) -> float | None:
        return upkeep.slice_of_work(db, time.time(), self._ledger_days, self._tape_seconds)

    def _sweep(self, db: Connection, now: float) -> None:
        upkeep.sweep(db, self._engine, self.process, now)


def _done(name: str) -> Callable[[asyncio.Future[None]], None]:
    """Logs and counts the failure of a background job."""

    def done(job: asyncio.Future[None]) -> None:
        if not job.cancelled() and (error := job.exception()) is not None:
            failed(name, error)

    return done


def _owner(args: tuple[object, ...]) -> str:
    return args[0] if args and isinstance(args[0], str) else ""


def _given(job: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], db: Connection) -> T:
    return job(db, *args, **kwargs)


def _nothing(db: Connection) -> None:
    """Does nothing: the database is opened by running it."""
