"""Interface for metering the cost of one attempt while its answer grows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .adapter import Translator
    from .chat import Chat
    from .trace import Attempt


class Meter(Protocol):
    """ceiling: of a translator's `produced`; beyond it the meter must be asked to grow."""

    ceiling: int

    async def grow(self, translator: Translator) -> None:
        """Holds more money for what came. Raises Cancelled where there is none."""
        ...

    def settle(self, attempt: Attempt) -> None:
        """The attempt is over: what it cost is written into it, and what was held for it is let go. Once; again changes
        nothing."""
        ...


class Purse(Protocol):
    """What one request may spend."""

    async def begin(self, chat: Chat, provider: str, attempt: Attempt, *, streams: bool) -> tuple[Meter, Chat]:
        """Holds the money for an attempt to begin with, waiting for it for a moment. streams: the answer can be watched while
        it grows; where it cannot, the chat given back asks for no more than there is money for. Raises GatewayError."""
        ...


class _Unmetered:
    ceiling = sys.maxsize

    async def grow(self, translator: Translator) -> None:
        """Never asked."""

    def settle(self, attempt: Attempt) -> None:
        """Nothing was held."""


UNMETERED: Meter = _Unmetered()
