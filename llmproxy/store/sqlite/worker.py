"""A thread with a connection of its own, which runs the jobs that pile up together in one transaction."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from llmproxy.core.errors import StoreError

from .database import translated

if TYPE_CHECKING:
    from sqlite3 import Connection

P = ParamSpec("P")
T = TypeVar("T")
BATCH = 256


@dataclass(frozen=True, slots=True)
class Job:
    run: Callable[[Connection], Any]
    future: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    value: Any = None
    error: Exception | None = None


class Worker:
    """Starts with its first job. A job's future is done when its transaction is on disk.

    connect: opens the connection, in the thread. begin: how a transaction begins. limit: jobs that may wait.
    heard: told of each batch, in the event loop: the failure of the database, or None.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Connection],
        begin: str,
        limit: int = 10_000,
        heard: Callable[[Exception | None], None] = lambda _: None,
    ) -> None:
        self._name = name
        self._heard = heard
        self._connect = connect
        self._begin = begin
        self._limit = limit
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._failure: Exception | None = None  # of opening, which the next batch tries again

    def submit(
        self, job: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Queues `job(connection, ...)`. It runs even if nobody waits for its future any more.

        Raises StoreError where too many wait already, or after close.
        """
        if self._closed:
            raise StoreError("The store is closed.")
        if self._jobs.qsize() >= self._limit:
            raise StoreError("The database does not keep up: too many changes wait for the disk.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._start()
        self._jobs.put(Job(lambda connection: job(connection, *args, **kwargs), future))
        return future

    async def close(self) -> None:
        """Does what was queued, then closes the connection."""
        self._closed = True
        if self._thread is not None and self._thread.is_alive():
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"llmproxy-{self._name}", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        connection: Connection | None = None
        ended = False
        while not ended:
            batch = self._next()
            ended = batch[-1] is None
            if jobs := [job for job in batch if job is not None]:
                connection = connection or self._opened()
                _deliver(jobs, self._transact(connection, jobs) if connection else self._failed(jobs), self._heard)
        if connection is not None:
            connection.close()

    def _next(self) -> list[Job | None]:
        """What waits, at least one job; the last is None once the worker was closed."""
        batch = [self._jobs.get()]
        while batch[-1] is not None and len(batch) < BATCH:
            try:
                batch.append(self._jobs.get_nowait())
            except Empty:
                break
        return batch

    def _failed(self, jobs: list[Job]) -> list[Outcome]:
        return [Outcome(error=self._failure)] * len(jobs)

    def _opened(self) -> Connection | None:
        try:
            return self._connect()
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            self._failure = error
            return None

    def _transact(self, connection: Connection, batch: list[Job]) -> list[Outcome]:
        try:
            connection.execute(self._begin)
            outcomes = [_outcome(connection, job) for job in batch]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  # disk full, locked, damaged: nothing of the batch is kept
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return [Outcome(error=translated(error))] * len(batch)
        return outcomes


def _outcome(connection: Connection, job: Job) -> Outcome:
    """One job of a batch: if it fails, what it changed is undone and the others stand."""
    connection.execute("SAVEPOINT job")
    try:
        value = job.run(connection)
    except Exception as error:
        if not connection.in_transaction:  # SQLite itself gave the whole transaction up
            raise
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return Outcome(error=error)
    connection.execute("RELEASE job")
    return Outcome(value)


def _deliver(batch: list[Job], outcomes: list[Outcome], heard: Callable[[Exception | None], None]) -> None:
    def told() -> None:
        heard(next((one.error for one in outcomes if _is_of_storage(one.error)), None))
        _settle(batch, outcomes)

    try:
        batch[0].future.get_loop().call_soon_threadsafe(told)
    except RuntimeError:  # the loop has ended: nobody waits
        return


def _is_of_storage(error: Exception | None) -> bool:
    """Whether it is the database that failed, and not what was asked of it."""
    return isinstance(error, StoreError) or type(error).__module__ == "sqlite3"


def _settle(batch: list[Job], outcomes: list[Outcome]) -> None:
    for job, outcome in zip(batch, outcomes, strict=True):
        if job.future.done():
            continue
        if outcome.error is not None:
            job.future.set_exception(outcome.error)
        else:
            job.future.set_result(outcome.value)
