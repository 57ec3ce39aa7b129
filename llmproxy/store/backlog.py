"""Finished work that the database did not accept: kept in memory, and written when it accepts changes again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from llmproxy.core.errors import StoreError

if TYPE_CHECKING:
    from .connection import Connection

MOST = 64 * 1024 * 1024  # bytes of all waiting jobs


class Unwritten(NamedTuple):
    """A job of one owner that may run twice. size: bytes that it holds in memory. tries: attempts that are left."""

    owner: str
    size: int
    job: Callable[[Connection], Any]
    tries: int = 3  # one attempt each time that the database works again: after that, the job itself is at fault


class Backlog:
    """submit: the store's `write_for`. `len` is the number of waiting jobs; dropped: jobs for which there was no room."""

    def __init__(self, submit: Callable[[str, Callable[[Connection], Any]], asyncio.Future[Any]]) -> None:
        self.dropped = 0
        self._submit = submit
        self._waiting: deque[Unwritten] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, one: Unwritten) -> bool:
        """Adds a job. False: there is no room, or it was tried often enough."""
        if self._size + one.size > MOST or not one.tries:
            self.dropped += 1
            return False
        self._size += one.size
        self._waiting.append(one)
        return True

    def flush(self) -> None:
        """Submits all waiting jobs. Jobs that the database still refuses come back."""
        waiting, self._size = list(self._waiting), 0
        self._waiting.clear()
        for one in waiting:
            try:
                writing = self._submit(one.owner, one.job)
            except StoreError:
                self.put(one)
            else:
                writing.add_done_callback(lambda done, one=one: self._again(done, one))  # type: ignore[misc]

    def _again(self, done: asyncio.Future[Any], one: Unwritten) -> None:
        if not done.cancelled() and isinstance(done.exception(), StoreError):
            self.put(one._replace(tries=one.tries - 1))
