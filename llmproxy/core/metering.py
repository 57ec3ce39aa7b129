"""Interface for metering the cost of one attempt while its answer grows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from .measure import USUAL

if TYPE_CHECKING:
    from .adapter import Translator
    from .chat import Chat
    from .trace import Attempt


class Meter(Protocol):
    """The meter of one attempt. ceiling: the value of a translator's `produced` up to which money is held; above it,
    call `grow`.
    """

    ceiling: int

    @property
    def bytes_per_token(self) -> tuple[float, float]:
        """Of input and output, for an answer whose tokens were not counted."""
        ...

    async def grow(self, translator: Translator) -> None:
        """Holds more money for the bytes that arrived. Raises Cancelled if there is none."""
        ...

    def settle(self, attempt: Attempt) -> None:
        """The attempt has ended: writes its cost into it and releases the money that was held. Further calls change
        nothing.
        """
        ...


class Purse(Protocol):
    """The money that one request may spend."""

    async def begin(self, chat: Chat, provider: str, attempt: Attempt, *, streams: bool) -> tuple[Meter, Chat]:
        """Holds the money for an attempt, and waits for a moment if it is not available. streams: the answer can be
        metered while it grows; if not, the returned chat asks for no more tokens than there is money for. Raises
        GatewayError.
        """
        ...


class _Unmetered:
    ceiling = sys.maxsize
    bytes_per_token = USUAL

    async def grow(self, translator: Translator) -> None:
        """Never called."""

    def settle(self, attempt: Attempt) -> None:
        """Nothing was held."""


UNMETERED: Meter = _Unmetered()
