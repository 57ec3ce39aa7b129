"""SQLite as the store's engine: one file in a folder, or memory."""

from __future__ import annotations

import math
from pathlib import Path

from llmproxy.core.errors import StoreError

from ..connection import Connection
from . import processes
from .database import connect, looking, translated
from .soundness import Soundness


class SQLite:
    """folder: of the database file; None keeps it in memory, where only its own connection sees it."""

    begins = ("BEGIN IMMEDIATE", "BEGIN")
    alive_seconds = math.inf

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.lasting = folder is not None
        self._held: int | None = None
        self._soundness = Soundness(folder) if folder is not None else None

    @property
    def damage(self) -> StoreError | None:
        return self._soundness.damage if self._soundness is not None else None

    def connect(self, *, reading: bool = False) -> Connection:
        if reading or self._soundness is None:
            return connect(self._folder, reading=reading)
        at_once = self._soundness.before_use()
        others = bool(processes.living(self._folder))  # they know whether the file is whole
        known = not at_once and (self._soundness.known() or others)
        connection = connect(self._folder, check=at_once)
        if at_once:
            self._soundness.passed()
        elif not known:
            self._soundness.begin()
        return connection

    def check(self) -> None:
        connect(self._folder).close()

    def look(self) -> Connection | None:
        return looking(self._folder) if self._folder is not None else None

    def translated(self, error: Exception) -> StoreError:
        return error if isinstance(error, StoreError) else translated(error)

    def is_failure(self, error: BaseException) -> bool:
        return isinstance(error, StoreError) or type(error).__module__ == "sqlite3"

    def is_conflict(self, error: BaseException) -> bool:
        return False

    def enter(self, db: Connection, process: str) -> None:
        if self._folder is not None and self._held is None:
            self._held = processes.hold(self._folder, process)

    def beat(self, db: Connection, process: str) -> int:
        return 1

    def meet(self, db: Connection, process: str, address: str) -> list[str]:
        return []

    def bury(self, db: Connection, process: str) -> bool:
        return True

    def leave(self, process: str) -> None:
        if self._folder is not None and self._held is not None:
            processes.release(self._folder, process, self._held)
            self._held = None
        if self._soundness is not None:
            self._soundness.end()

    def entered(self, db: Connection) -> set[str]:
        return set()  # what a dead one left of that is removed by `living`

    def living(self, db: Connection) -> set[str]:
        return processes.living(self._folder)
