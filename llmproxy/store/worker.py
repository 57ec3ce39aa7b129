"""A thread with its own connection that runs queued jobs in one transaction."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from llmproxy.core.errors import StoreError

from .engine import Engine
from .fair_queue import FairQueue

if TYPE_CHECKING:
    from .connection import Connection

P = ParamSpec("P")
T = TypeVar("T")
BATCH = 256
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Job:
    run: Callable[[Connection], Any] | None  # None: the last job, after which the thread ends
    future: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    value: Any = None
    error: Exception | None = None


class Worker:
    """Starts with its first job. A job's future is done when its transaction is on disk.

    engine: the database. connect: opens the connection, in the thread. begin: SQL that begins a transaction. batch: jobs per
    transaction; owners take turns between them. limit: jobs that may wait.
    on_batch: called for each batch, in the event loop, with the failure of the database or None.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        connect: Callable[[], Connection],
        begin: str,
        limit: int = 10_000,
        batch: int = BATCH,
        on_batch: Callable[[Exception | None], None] = lambda _: None,
    ) -> None:
        self._name = name
        self._on_batch = on_batch
        self._engine = engine
        self._connect = connect
        self._begin = begin
        self._writes = begin == engine.begins[0]
        self._limit = limit
        self._batch = batch
        self._jobs: FairQueue[Job] = FairQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._connection: Connection | None = None  # of the thread
        self._committing = False
        self._failure: Exception | None = None  # of opening; the next batch tries again

    def submit(
        self, owner: str, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Queues `job(connection, ...)`, after those of the same owner and in turns with those of others.

        It runs even if no caller waits for its future any more. Raises StoreError if too many jobs wait, or after close.
        """
        if self._closed:
            raise StoreError("The store is closed.")
        if len(self._jobs) >= self._limit:
            raise StoreError("The database does not keep up: too many changes wait for the disk.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._start()
        self._jobs.put(owner, Job(lambda connection: job(connection, *args, **kwargs), future))
        return future

    async def close(self) -> None:
        """Runs the queued jobs, then closes the connection."""
        self._closed = True
        if self._thread is not None and self._thread.is_alive():
            self._jobs.put("", Job(None, asyncio.get_running_loop().create_future()))
            await asyncio.to_thread(self._thread.join)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"llmproxy-{self._name}", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        ended = False
        while not ended:
            batch = self._jobs.take(self._batch)
            ended = any(job.run is None for job in batch)
            if ended:
                batch += self._jobs.take(len(self._jobs)) if len(self._jobs) else []
            if jobs := [job for job in batch if job.run is not None]:
                self._deliver(jobs, self._done(jobs))
        self._drop()

    def _done(self, jobs: list[Job]) -> list[Outcome]:
        """Runs a batch. After a conflict with another transaction, it is run again."""
        if (connection := self._begun()) is None:
            return [Outcome(error=self._failure)] * len(jobs)
        for left in reversed(range(_TRIES)):
            try:
                return self._transact(connection, jobs)
            except Exception as error:  # noqa: BLE001  # disk full, locked, damaged, gone: nothing of the batch is kept
                self._undo(connection)
                self._failure = self._engine.translated(error)
                self._failure.unsure, self._committing = self._committing, False
                if not left or not self._engine.is_conflict(error) or (connection := self._begun()) is None:
                    return [Outcome(error=self._failure)] * len(jobs)
        raise AssertionError

    def _begun(self) -> Connection | None:
        """A connection with a transaction. A lost connection is replaced."""
        for _ in range(2):
            try:
                if self._connection is not None and self._writes and (damage := self._engine.damage) is not None:
                    self._failure = damage
                    return None
                self._connection = self._connection or self._connect()
                self._connection.execute(self._begin)
                return self._connection
            except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
                self._failure = error if self._connection is None else self._engine.translated(error)
                if self._connection is None or not self._connection.lost:
                    break
                self._drop()
        return None

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _undo(self, connection: Connection) -> None:
        if not connection.lost and connection.in_transaction:
            with suppress(Exception):  # it was just lost
                connection.execute("ROLLBACK")
        if connection.lost:
            self._drop()

    def _transact(self, connection: Connection, batch: list[Job]) -> list[Outcome]:
        alone = len(batch) == 1
        outcomes = [self._outcome(connection, job) if alone else self._apart(connection, job) for job in batch]
        self._committing = not alone or outcomes[0].error is None
        connection.execute("COMMIT" if self._committing else "ROLLBACK")
        self._committing = False
        return outcomes

    def _apart(self, connection: Connection, job: Job) -> Outcome:
        """Runs one job of several: if it fails, its changes are undone and the others stay."""
        connection.execute("SAVEPOINT job")
        outcome = self._outcome(connection, job)
        if outcome.error is not None:
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return outcome

    def _outcome(self, connection: Connection, job: Job) -> Outcome:
        try:
            return Outcome(job.run(connection) if job.run is not None else None)
        except Exception as error:
            if not connection.in_transaction or self._engine.is_conflict(
                error
            ):  # the whole transaction was rolled back
                raise
            return Outcome(error=self._engine.translated(error) if self._engine.is_failure(error) else error)

    def _deliver(self, batch: list[Job], outcomes: list[Outcome]) -> None:
        errors = (one.error for one in outcomes)
        failure = next((one for one in errors if one is not None and self._engine.is_failure(one)), None)

        def report() -> None:
            self._on_batch(failure)
            _settle(batch, outcomes)

        try:
            batch[0].future.get_loop().call_soon_threadsafe(report)
        except RuntimeError:  # the event loop has ended
            return


def _settle(batch: list[Job], outcomes: list[Outcome]) -> None:
    for job, outcome in zip(batch, outcomes, strict=True):
        if job.future.done():
            continue
        if outcome.error is not None:
            job.future.set_exception(outcome.error)
        else:
            job.future.set_result(outcome.value)
