"""Interface of a database engine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from llmproxy.core.errors import StoreError

from .connection import Connection


class Engine(Protocol):
    """One database. begins: the SQL that begins a writing and a reading transaction.

    lasting: data outlives the process, and other connections see it. alive_seconds: for how long a process is considered alive
    after a heartbeat; infinite if the engine sees the end of processes.
    """

    begins: tuple[str, str]
    lasting: bool
    alive_seconds: float

    @property
    def damage(self) -> StoreError | None:
        """Why nothing may be written any more; None if all is well."""

    def check(self) -> None:
        """Opens and closes it, and checks the whole file if that is useful. Raises StoreError with the problem."""

    def connect(self, *, reading: bool = False) -> Connection:
        """Opens it; creates and updates it if necessary. Raises StoreError."""

    def look(self) -> Connection | None:
        """A read-only connection to an existing database; None if there is none."""

    def translated(self, error: Exception) -> StoreError:
        """The StoreError for a failure."""

    def is_failure(self, error: BaseException) -> bool:
        """Whether the database failed, and not the job."""

    def is_conflict(self, error: BaseException) -> bool:
        """Whether two transactions were in conflict, so that a retry of the same jobs succeeds."""

    def enter(self, db: Connection, process: str) -> None:
        """Registers this process as alive, until it leaves or dies."""

    def beat(self, db: Connection, process: str) -> int:
        """The heartbeat. Returns the number of live processes; 0: it was late, and others consider this process dead."""

    def meet(self, db: Connection, process: str, address: str) -> list[str]:
        """Says where this process is reached, and gives the addresses of all that live. None where their end is seen: those
        are on one machine, and find each other there."""

    def bury(self, db: Connection, process: str) -> bool:
        """Removes a dead process, so that its later changes have no effect. False: it has shown life meanwhile."""

    def leave(self, process: str) -> None:
        """Removes the registration, at a normal end."""

    def entered(self, db: Connection) -> set[str]:
        """The registered processes, dead or alive."""

    def living(self, db: Connection) -> set[str]:
        """The live processes."""


def engine_of(where: Path | str | None) -> Engine:
    """The database in a folder, or at a URL (postgresql://...); in memory for None."""
    if isinstance(where, str):
        from .postgres.engine import Postgres

        return Postgres(where)
    from .sqlite.engine import SQLite

    return SQLite(where)
