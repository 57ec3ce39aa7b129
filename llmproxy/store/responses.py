"""Stored responses on disk, shared by all processes of a gateway: a separate small SQLite file, because they live only for
about an hour.

Its calls block: run them in a thread. They wait for each other.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmproxy.core.errors import StoreError
from llmproxy.dialects.responses.state import Kept

FILE = "responses.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
  owner TEXT NOT NULL, id TEXT NOT NULL, at REAL NOT NULL, size INTEGER NOT NULL, response BLOB NOT NULL,
  parts BLOB NOT NULL, answered_by TEXT NOT NULL, request_id TEXT NOT NULL, PRIMARY KEY (owner, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_age ON responses (at, size);
CREATE TABLE IF NOT EXISTS items (
  owner TEXT NOT NULL, item TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (owner, item)
) STRICT, WITHOUT ROWID;
"""
_MEMBERS = "id, owner, response, parts, answered_by, request_id, at"
_KEEP = """
INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (owner, id) DO UPDATE SET
  at = excluded.at, size = excluded.size, response = excluded.response, parts = excluded.parts,
  answered_by = excluded.answered_by, request_id = excluded.request_id WHERE excluded.at >= responses.at
"""
_PATIENCE = 5.0  # seconds to wait while another process writes


class ResponseFile:
    """most: bytes of all responses. seconds: how long each is stored; times are Unix seconds, the same in all processes."""

    def __init__(self, folder: Path, most: int, seconds: float) -> None:
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self.limit(most, seconds)

    def limit(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def put(self, kept: Kept, at: float) -> None:
        """Stores it, replaces one with the same ID, and removes old ones and those above the limit. Raises StoreError.

        at: when it was made. Threads may call this in another order.
        """
        parts = b"".join(b"%d\n%b" % (len(part), part) for part in kept.parts)
        row = (kept.owner, kept.id, at, len(kept.response) + len(parts), kept.response, parts,
               kept.answered_by, kept.request_id)  # fmt: skip
        with self._open() as db:
            if not db.execute(_KEEP, row).rowcount:
                return
            items = [item["id"] for item in kept.output if isinstance(item, dict) and isinstance(item.get("id"), str)]
            db.executemany(
                "INSERT OR REPLACE INTO items VALUES (?, ?, ?)", [(kept.owner, one, kept.id) for one in items]
            )
            self._forget(db)

    def get(self, owner: str, id: str) -> Kept | None:
        """The owner's response with that ID. Raises StoreError."""
        with self._open() as db:
            wanted = f"SELECT {_MEMBERS} FROM responses WHERE owner = ? AND id = ? AND at > ?"
            row = db.execute(wanted, (owner, id, time.time() - self._seconds)).fetchone()
        return Kept(row[0], row[1], row[2], _split(row[3]), *row[4:]) if row is not None else None

    def of_item(self, owner: str, item: str) -> Kept | None:
        """The owner's response that contains this item. Raises StoreError."""
        with self._open() as db:
            row = db.execute("SELECT id FROM items WHERE owner = ? AND item = ?", (owner, item)).fetchone()
        return self.get(owner, row[0]) if row is not None else None

    def delete(self, owner: str, id: str) -> None:
        with self._open() as db:
            db.execute("DELETE FROM responses WHERE owner = ? AND id = ?", (owner, id))
            db.execute("DELETE FROM items WHERE owner = ? AND id = ?", (owner, id))

    def _forget(self, db: sqlite3.Connection) -> None:
        gone = db.execute(
            "DELETE FROM responses WHERE at <= ? RETURNING owner, id", (time.time() - self._seconds,)
        ).fetchall()
        (size,) = db.execute("SELECT coalesce(sum(size), 0) FROM responses").fetchone()
        while size > self._most:
            row = db.execute("SELECT owner, id, size FROM responses ORDER BY at LIMIT 1").fetchone()
            db.execute("DELETE FROM responses WHERE owner = ? AND id = ?", row[:2])
            gone.append(row[:2])
            size -= row[2]
        db.executemany("DELETE FROM items WHERE owner = ? AND id = ?", gone)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        try:
            with self._lock:
                self._db = db = self._db or self._connected()
                with db:
                    yield db
        except (OSError, sqlite3.Error) as error:
            raise StoreError("Responses cannot be kept or read just now.") from error

    def _connected(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        db = sqlite3.connect(self._path, timeout=_PATIENCE, check_same_thread=False)
        try:
            for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL"):
                db.execute(statement)
            db.executescript(_SCHEMA)
        except sqlite3.Error:
            db.close()
            raise
        return db


def _split(parts: bytes) -> tuple[bytes, ...]:
    found = []
    while parts:
        length, _, rest = parts.partition(b"\n")
        found.append(rest[: int(length)])
        parts = rest[int(length) :]
    return tuple(found)
