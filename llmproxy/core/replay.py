"""Types of the replay buffer: a batch of events, and the error for events that are no longer stored."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from .errors import GatewayError


class Gone(GatewayError):
    """What the reader has not seen yet is no longer kept. `oldest` is the first id that still is; None: nothing is."""

    status = 409
    code = "stream_gone"

    def __init__(self, oldest: int | None) -> None:
        kept = "nothing" if oldest is None else f"event {oldest} and later"
        super().__init__(f"The stream cannot be continued from there: {kept} is kept.", extra={"oldest": oldest})
        self.oldest = oldest


class Piece(NamedTuple):
    """Some events in a row: the ids of the first and the last, and their bytes."""

    first: int
    last: int
    events: bytes


class Shelf(Protocol):
    """Where events are that memory has let go."""

    async def take(self, after: int, size: int) -> tuple[int, bytes]:
        """As `ReplayBuffer.take`; `(after, b"")` if none of those after `after` is here."""
