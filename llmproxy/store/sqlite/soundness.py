"""Checks whether the database file is intact. A small file is checked at every start, a large one only when it may be damaged.

A file that was closed properly has a note of its size and time beside it (`llmproxy.db.closed`). If the note does not match
(the process was killed, the file was replaced) or is a week old, a large file is checked by a separate thread while the gateway
works. Damage is written to `llmproxy.db.damaged`: then nothing is written any more, and every later start reports it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from llmproxy.core.errors import Damaged, StoreError

from . import database, processes
from .database import FILE, looking, translated

SMALL = 64 * 1024 * 1024  # bytes; a file up to this size is checked before it is used, in a tenth of a second
TRUSTED = 7 * 86_400.0  # seconds after a complete check
_STEPS = 100_000  # steps of SQLite's virtual machine between two checks whether the process ends


class Soundness:
    """The state of the file in a folder, for one process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / FILE
        self._closed = folder / f"{FILE}.closed"
        self._damaged = folder / f"{FILE}.damaged"
        self._thread: threading.Thread | None = None
        self._ending = False
        self._checked_at = 0.0  # when the file was found to be whole

    @property
    def damage(self) -> Damaged | None:
        """The damage that this process or another one has found."""
        if not self._damaged.exists():
            return None
        with suppress(OSError):
            return _damaged_error(self._damaged.read_text("utf-8", "replace"))
        return _damaged_error("")

    def before_use(self) -> bool:
        """Whether the whole file must be checked before it is used. Called before it is opened."""
        return self._damaged.exists() or _size(self._file) <= SMALL

    def known(self) -> bool:
        """Whether it is the file that was closed properly. Called before it is opened."""
        noted = self._noted()
        self._checked_at = noted.get("checked_at", 0.0)
        fresh = time.time() - self._checked_at < TRUSTED
        return fresh and _size(Path(f"{self._file}-wal")) == 0 and noted.get("file") == _seen(self._file)

    def passed(self) -> None:
        """The file was checked and is intact."""
        self._checked_at = time.time()
        self._damaged.unlink(missing_ok=True)

    def begin(self) -> None:
        """Checks the file in the background."""
        self._thread = threading.Thread(target=self._check, name="llmproxy-check", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """After the file was closed properly: writes the note, unless it is unknown whether the file is intact."""
        self._ending = True
        if self._thread is not None:
            self._thread.join()
        if self._checked_at and not self._damaged.exists() and _size(self._file) > SMALL:
            with suppress(OSError):
                self._closed.write_text(json.dumps({"file": _seen(self._file), "checked_at": self._checked_at}))

    def _check(self) -> None:
        file = self._folder / f"{FILE}.checking"
        held = processes.try_lock(file)
        if held is None:
            return  # another process does
        try:
            self._read()
        except Damaged as error:
            self._damaged.write_text(str(error), "utf-8")
        except (OSError, StoreError):
            return  # the check was not completed: nothing is known
        finally:
            file.unlink(missing_ok=True)
            os.close(held)

    def _read(self) -> None:
        """Raises Damaged."""
        import sqlite3

        connection = looking(self._folder)
        if connection is None:
            return
        with closing(connection) as db:
            db.set_progress_handler(lambda: self._ending, _STEPS)
            try:
                database.sound(db)
            except sqlite3.Error as error:
                raise translated(error) from error
            self.passed()

    def _noted(self) -> dict[str, Any]:
        try:
            noted = json.loads(self._closed.read_bytes())
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}


def _damaged_error(reason: str) -> Damaged:
    return Damaged(reason or f"The database {FILE} is damaged.")


def _seen(file: Path) -> list[int]:
    found = os.stat(file)
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _size(file: Path) -> int:
    try:
        return os.stat(file).st_size
    except OSError:
        return 0
