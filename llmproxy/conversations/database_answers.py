"""Complete answers in the database for identical requests, shared by all replicas.

If the database fails or is slow, no answer is found, and the provider is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmproxy.core.errors import StoreError
from llmproxy.requests.answer_cache import Answer
from llmproxy.store import Store

from .packed_answer import packed, unpacked

if TYPE_CHECKING:
    from llmproxy.store.connection import Connection

_WAIT = 0.5  # seconds to wait for the database
_TRIM_AFTER = 256  # answers that are written between two checks of the total size

_TABLE = """
CREATE TABLE IF NOT EXISTS kept_answers (
  key TEXT PRIMARY KEY, kept_at DOUBLE PRECISION NOT NULL, size BIGINT NOT NULL, answer TEXT NOT NULL)"""
_KEEP = """
INSERT INTO kept_answers (key, kept_at, size, answer) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET kept_at = excluded.kept_at, size = excluded.size, answer = excluded.answer"""
_FIND = "SELECT kept_at, answer FROM kept_answers WHERE key = ? AND kept_at > ?"
_OLD = "DELETE FROM kept_answers WHERE kept_at <= ?"
_TOO_MANY = """
DELETE FROM kept_answers WHERE key IN (
  SELECT key FROM (SELECT key, sum(size) OVER (ORDER BY kept_at DESC, key) AS total FROM kept_answers) AS counted
  WHERE total > ?)"""


class DatabaseAnswers:
    """most: stored bytes of all answers; seconds: how long each is kept. clock: Unix seconds, the same on all replicas."""

    def __init__(
        self, store: Callable[[], Store], *, most: int, seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self.most = most
        self.seconds = seconds
        self._clock = clock
        self._ready: Store | None = None  # the store, after its table is known to exist
        self._untrimmed = 0  # answers written since the last check
        self._unweighed = 0  # bytes written since the last check

    async def find(self, key: bytes) -> tuple[Answer, float] | None:
        """The answer, and how many seconds ago it was stored."""
        try:
            async with asyncio.timeout(_WAIT):
                store = await self._made()
                row = await store.read(_found, key.hex(), self._clock() - self.seconds)
        except (StoreError, TimeoutError):
            return None
        return (unpacked(row[1]), max(0.0, self._clock() - row[0])) if row is not None else None

    def keep(self, key: bytes, answer: Answer) -> None:
        """Returns at once; the answer is written soon."""
        text = packed(answer)
        if len(text) > self.most or self.seconds <= 0:
            return
        self._untrimmed += 1
        self._unweighed += len(text)
        trims = self._untrimmed >= _TRIM_AFTER or self._unweighed > self.most // 16
        if trims:
            self._untrimmed = self._unweighed = 0
        now = self._clock()
        most = self.most if trims else None
        try:
            written = self._store().write(_kept, key.hex(), now, text, most, now - self.seconds)
        except StoreError:  # too many changes wait already
            return
        written.add_done_callback(lambda done: done.cancelled() or done.exception())  # the store logs its own failures

    async def _made(self) -> Store:
        store = self._store()
        if self._ready is not store:
            await store.write(_make)
            self._ready = store
        return store


def _make(db: Connection) -> None:
    db.execute(_TABLE)


def _found(db: Connection, key: str, oldest: float) -> tuple[float, str] | None:
    row = db.execute(_FIND, (key, oldest)).fetchone()
    return (row["kept_at"], row["answer"]) if row is not None else None


def _kept(db: Connection, key: str, now: float, text: str, most: int | None, oldest: float) -> None:
    """most: bytes of all answers, if the total must be checked now."""
    db.execute(_TABLE)
    db.execute(_KEEP, (key, now, len(text), text))
    if most is not None:
        db.execute(_OLD, (oldest,))
        db.execute(_TOO_MANY, (most,))
