"""Complete answers, kept in the store for requests that are the same, whichever replica they come through.

A store that fails or is slow is a shelf without the answer: the provider is asked.
"""

from __future__ import annotations

import asyncio
import base64
import time
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from llmproxy.core.errors import StoreError
from llmproxy.requests.answer_cache import Answer
from llmproxy.store import Store

if TYPE_CHECKING:
    from llmproxy.store.connection import Connection

_WAIT = 0.5  # seconds for the store to find an answer
_TRIM_AFTER = 256  # answers at most between two looks at the size of all

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


class AnswerShelf:
    """most: bytes of all answers, as they are kept; seconds: that each is kept. clock: Unix seconds, as all replicas have them."""

    def __init__(
        self, store: Callable[[], Store], *, most: int, seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self.most = most
        self.seconds = seconds
        self._clock = clock
        self._ready: Store | None = None  # the one that is known to have the table
        self._untrimmed = 0  # answers written since the size was looked at
        self._unweighed = 0  # and their bytes

    async def find(self, key: bytes) -> tuple[Answer, float] | None:
        """The answer, and how many seconds ago it was kept."""
        try:
            async with asyncio.timeout(_WAIT):
                store = await self._made()
                row = await store.read(_found, key.hex(), self._clock() - self.seconds)
        except (StoreError, TimeoutError):
            return None
        return (_unpacked(row[1]), max(0.0, self._clock() - row[0])) if row is not None else None

    def keep(self, key: bytes, answer: Answer) -> None:
        """Returns at once; on disk soon."""
        packed = _packed(answer)
        if len(packed) > self.most or self.seconds <= 0:
            return
        self._untrimmed += 1
        self._unweighed += len(packed)
        trims = self._untrimmed >= _TRIM_AFTER or self._unweighed > self.most // 16
        if trims:
            self._untrimmed = self._unweighed = 0
        now = self._clock()
        written = self._store().write(_kept, key.hex(), now, packed, self.most if trims else None, now - self.seconds)
        written.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # the store says itself what is wrong

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


def _kept(db: Connection, key: str, now: float, packed: str, most: int | None, oldest: float) -> None:
    """most: what all may have together, where that is to be looked at."""
    db.execute(_TABLE)
    db.execute(_KEEP, (key, now, len(packed), packed))
    if most is not None:
        db.execute(_OLD, (oldest,))
        db.execute(_TOO_MANY, (most,))


def _packed(answer: Answer) -> str:
    """As text that every engine takes: blocks are bytes of any kind, and compress well."""
    blocks = [base64.b64encode(one).decode() for one in answer.blocks]
    told = [blocks, answer.content_type, answer.provider, answer.model, answer.dropped]
    return base64.b64encode(zlib.compress(orjson.dumps(told))).decode()


def _unpacked(packed: str) -> Answer:
    blocks, content_type, provider, model, dropped = orjson.loads(zlib.decompress(base64.b64decode(packed)))
    return Answer(tuple(map(base64.b64decode, blocks)), content_type, provider, model, tuple(dropped))
