"""Copies the database with SQLite's online backup, which does not stop a gateway that writes to it."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from pathlib import Path

from llmproxy.core.errors import Damaged, StoreError

from .database import FILE, translated


def copy(folder: str, target: Path) -> int:
    """Copies the database in `folder` to the new file `target` and checks the copy. Returns its size in bytes.

    Raises StoreError (no database, no folder for the target, the target exists), Damaged (the copy is damaged), OSError.
    """
    source = Path(folder) / FILE
    if not source.exists():
        raise StoreError(f"There is no database in {folder}.")
    part = _part(target)
    try:
        _copied(source, part)
        _publish(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def _part(target: Path) -> Path:
    """An empty file beside the target, only for this user, to which no other backup writes."""
    if target.exists():
        raise StoreError(f"{target} exists. Name a new file.")
    if not target.parent.is_dir():
        raise StoreError(f"There is no folder {target.parent}.")
    held, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(held)
    return Path(name)


def _publish(part: Path, target: Path) -> None:
    """Renames the checked copy to its final name, unless another process has created a file of that name meanwhile."""
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        raise StoreError(f"{target} exists. Name a new file.") from error
    part.replace(target)


def _copied(source: Path, part: Path) -> None:
    import sqlite3

    try:
        with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(part)) as fresh:
            live.backup(fresh)
            fresh.execute("PRAGMA journal_mode = DELETE")  # a single file, which can be moved
            [verdict] = fresh.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        raise translated(error) from error
    if verdict != "ok":
        raise Damaged(f"The database in {source.parent} is damaged ({verdict}). No backup was made of it.")
