"""When a growing answer is stored: once a second, and earlier if memory holds too much."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from llmproxy.core.replay import Piece
from llmproxy.observe.periodic import attempt
from llmproxy.requests.replay_buffer import ReplayBuffer

CHECKPOINT = 1.0  # seconds of an answer that a kill -9 can take

Pieces = tuple[Piece, ...]
Keep = Callable[[Pieces], "asyncio.Future[None] | None"]


class Checkpoints:
    """Of one answer. `keep` gets the events since the last checkpoint, none if the replay buffer has no shelf; its future is done
    when they are on disk. Until then there is no further one: what waits for a slow disk stays bounded.
    """

    def __init__(self, buffer: ReplayBuffer, keep: Keep) -> None:
        self._buffer = buffer
        self._keep = keep
        self._most = buffer.max_bytes // 4 if buffer.shelf is not None else math.inf
        self._handed = 0  # the last event that was handed over
        self._bytes = 0  # and how much all of them made up
        self._timer: asyncio.TimerHandle | None = None
        self._last: asyncio.Future[None] | None = None

    def grown(self) -> None:
        """To be told of every event."""
        if self._timer is None:
            self._later()
        if self._buffer.written - self._bytes > self._most and not self._waits:
            self._take()

    def end(self) -> Pieces:
        """There will be no more; gives the events since the last one."""
        self._rest()
        return self._fresh()

    @property
    def _waits(self) -> bool:
        """Whether the last one still waits for the disk."""
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
        if self._buffer.shelf is None:
            return ()
        pieces = tuple(self._buffer.pieces(self._handed))
        self._handed, self._bytes = self._buffer.newest, self._buffer.written
        return pieces
