"""Interface of a database engine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from llmproxy.core.errors import StoreError

from .connection import Connection


class Engine(Protocol):
    """One database. begins: how a transaction begins that writes, and one that reads.

    lasting: what is kept outlives the process, and other connections see it.
    alive_seconds: that a process counts as alive after it said so; infinite where its end is seen.
    """

    begins: tuple[str, str]
    lasting: bool
    alive_seconds: float

    @property
    def damage(self) -> StoreError | None:
        """Why nothing may be written any more; None while all is well."""

    def check(self) -> None:
        """Opens and closes it, and reads it as a whole where that tells something. Raises StoreError with what is wrong."""

    def connect(self, *, reading: bool = False) -> Connection:
        """Opens it, made and brought up to date if need be. Raises StoreError."""

    def look(self) -> Connection | None:
        """A connection that only reads, to a database as it is found; None where there is none."""

    def translated(self, error: Exception) -> StoreError:
        """What a failure means to the one who asked."""

    def is_failure(self, error: BaseException) -> bool:
        """Whether it is the database that failed, and not what was asked of it."""

    def is_conflict(self, error: BaseException) -> bool:
        """Whether two transactions stood in each other's way, so that the same jobs succeed when they are done again."""

    def enter(self, db: Connection, process: str) -> None:
        """Says that this process lives, until it leaves or dies."""

    def beat(self, db: Connection, process: str) -> int:
        """Says that it still lives, and gives how many do. 0: it did not say so in time, and others have taken it for dead."""

    def bury(self, db: Connection, process: str) -> None:
        """What a dead process left is taken care of: whatever it says from now on changes nothing of that."""

    def leave(self, process: str) -> None:
        """Takes back what `enter` said, at a proper end."""

    def entered(self, db: Connection) -> set[str]:
        """The processes that said so and did not leave, dead or alive."""

    def living(self, db: Connection) -> set[str]:
        """The processes that are there now."""


def engine_of(where: Path | str | None) -> Engine:
    """The database in a folder, or of a URL (postgresql://...); in memory for None."""
    if isinstance(where, str):
        from .postgres.engine import Postgres

        return Postgres(where)
    from .sqlite.engine import SQLite

    return SQLite(where)
