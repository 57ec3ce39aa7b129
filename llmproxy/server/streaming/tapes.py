"""Finds the numbered events of a request: in memory or, for a thread's answer, in the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from llmproxy.conversations.stored_replay import recalled
from llmproxy.core.errors import BadRequest
from llmproxy.core.replay import Gone
from llmproxy.requests.replay_buffer import ReplayBuffer
from llmproxy.requests.running import Running
from llmproxy.store import threads

from ..context import REGISTRY, STORE, owner

_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Tape:
    """The events of one request. running: the request, if its events are in memory."""

    buffer: ReplayBuffer
    running: Running | None = None


async def find(request: web.Request, id: str, after: int, *, orphaned: bool = False) -> Tape:
    """The caller's tape with that ID, for a reader that has the events up to `after`. orphaned: no other process has it.

    Raises Gone if the following events are known to be no longer stored, and NotFound if there is no request with this ID, or
    it belongs to another owner.
    """
    whose, store = owner(request), request.app[STORE]
    running = request.app[REGISTRY].get(id, whose)
    thread_id = running.thread_id if running is not None else None
    if thread_id is not None:
        await store().read(threads.present, whose, thread_id)
    if running is not None and running.buffer is not None:
        return Tape(running.buffer, running)
    if running is not None and thread_id is None:
        raise Gone(None)
    return Tape(await recalled(store(), whose, id, after, orphaned=orphaned))


def number(value: str, param: str) -> int:
    """The number of an event. Raises BadRequest."""
    if not (value.isascii() and value.isdigit() and len(value) <= _DIGITS):
        raise BadRequest("An event's id is a whole number.", param=param)
    return int(value)


@contextmanager
def reading(running: Running, buffer: ReplayBuffer) -> Iterator[None]:
    """Counts a reader; when the last one leaves, `running.leaving` decides what happens."""
    running.readers += 1
    try:
        yield
    finally:
        running.readers -= 1
        if not buffer.closed and not running.readers:
            _left(running, buffer)


def _left(running: Running, buffer: ReplayBuffer) -> None:
    policy = running.leaving
    if policy == "cancel":
        running.stop("client_disconnect")
    elif policy == "drain":  # it continues for its usage, and cannot be resumed
        running.buffer = None
        buffer.drop()
