"""Types of the replay buffer: a batch of events, and the error for events that are no longer stored."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from .errors import GatewayError


class Gone(GatewayError):
    """The next events for this reader are no longer stored. `oldest` is the ID of the oldest stored event, or None."""

    status = 409
    code = "stream_gone"

    def __init__(self, oldest: int | None) -> None:
        kept = "nothing" if oldest is None else f"event {oldest} and later"
        super().__init__(f"The stream cannot be resumed at this position: {kept} is kept.", extra={"oldest": oldest})
        self.oldest = oldest


class Piece(NamedTuple):
    """Consecutive events: the IDs of the first and the last one, and their bytes."""

    first: int
    last: int
    events: bytes


class StoredEvents(Protocol):
    """Storage for events that are no longer in memory."""

    async def take(self, after: int, size: int) -> tuple[int, bytes]:
        """As `ReplayBuffer.take`; `(after, b"")` if it has no event after `after`."""
