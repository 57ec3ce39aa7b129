"""What the store needs to know of a kind of database."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from llmproxy.core.errors import StoreError

from .connection import Connection


class Engine(Protocol):
    """One database. begins: how a transaction begins that writes, and one that reads.

    lasting: what is kept outlives the process, and other connections see it.
    """

    begins: tuple[str, str]
    lasting: bool

    def connect(self, *, reading: bool = False) -> Connection:
        """Opens it, made and brought up to date if need be. Raises StoreError."""

    def look(self) -> Connection | None:
        """A connection that only reads, to a database as it is found; None where there is none."""

    def translated(self, error: Exception) -> StoreError:
        """What a failure means to the one who asked."""

    def is_failure(self, error: BaseException) -> bool:
        """Whether it is the database that failed, and not what was asked of it."""

    def enter(self, db: Connection, process: str) -> None:
        """Says that this process lives, until it leaves or dies."""

    def leave(self, process: str) -> None:
        """Takes back what `enter` said, at a proper end."""

    def living(self, db: Connection) -> set[str]:
        """The processes that are there now."""


def engine_of(where: Path | None) -> Engine:
    """The database in a folder; in memory for None."""
    from .sqlite.engine import SQLite

    return SQLite(where)
