"""Copies the database with SQLite's online backup, which neither stops nor disturbs a gateway that writes to it."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from llmproxy.core.errors import Damaged, StoreError

from .database import FILE, translated


def copy(folder: str, target: Path) -> int:
    """Copies the database in `folder` to the new file `target` and checks the copy. Gives its size in bytes.

    Raises StoreError (no database, target is there already), Damaged (the copy is not sound), OSError.
    """
    source = Path(folder) / FILE
    if not source.exists():
        raise StoreError(f"There is no database in {folder}.")
    part = target.with_name(f".{target.name}.part")
    _create(part, target)
    try:
        _copied(source, part)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def _create(part: Path, target: Path) -> None:
    """An empty file for this user only; a part left by a backup that was killed is replaced."""
    if target.exists():
        raise StoreError(f"{target} exists. Name a new file.")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _copied(source: Path, part: Path) -> None:
    import sqlite3

    try:
        with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(part)) as fresh:
            live.backup(fresh)
            fresh.execute("PRAGMA journal_mode = DELETE")  # one file, which can be moved as it is
            [verdict] = fresh.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        raise translated(error) from error
    if verdict != "ok":
        raise Damaged(f"The database in {source.parent} is damaged ({verdict}). No backup was made of it.")
