"""When a growing answer is stored: once a second, and earlier if memory holds too much."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from llmproxy.core.replay import Piece
from llmproxy.observe.periodic import attempt
from llmproxy.requests.replay_buffer import ReplayBuffer

CHECKPOINT = 1.0  # seconds of an answer that may be lost by kill -9

Pieces = tuple[Piece, ...]
Keep = Callable[[Pieces], "asyncio.Future[None] | None"]


class Checkpoints:
    """The checkpoints of one answer. `keep` gets the events since the last checkpoint, or none if the replay buffer has no
    storage; its future is done when they are on disk. There is no further checkpoint until then, so the amount that waits for
    a slow disk is limited.
    """

    def __init__(self, buffer: ReplayBuffer, keep: Keep) -> None:
        self._buffer = buffer
        self._keep = keep
        self._most = buffer.max_bytes // 4 if buffer.stored is not None else math.inf
        self._handed = 0  # ID of the last event given to `keep`
        self._bytes = 0  # bytes of all events so far
        self._timer: asyncio.TimerHandle | None = None
        self._last: asyncio.Future[None] | None = None

    def grown(self) -> None:
        """Must be called for every event."""
        if self._timer is None:
            self._later()
        if self._buffer.written - self._bytes > self._most and not self._waits:
            self._take()

    def end(self) -> Pieces:
        """There will be no more events; returns those since the last checkpoint."""
        self._rest()
        return self._fresh()

    @property
    def _waits(self) -> bool:
        """Whether the last checkpoint is still being written."""
        return self._last is not None and not self._last.done()

    def _later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(CHECKPOINT, attempt, self._ring, "checkpoints")

    def _ring(self) -> None:
        if self._waits:
            self._later()
        else:
            self._take()

    def _take(self) -> None:
        self._rest()
        self._last = self._keep(self._fresh())

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fresh(self) -> Pieces:
        if self._buffer.stored is None:
            return ()
        pieces = tuple(self._buffer.pieces(self._handed))
        self._handed, self._bytes = self._buffer.newest, self._buffer.written
        return pieces
