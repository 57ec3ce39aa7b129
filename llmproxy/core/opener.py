"""Contract 2: the Opener, anything that can be asked a chat, and Reply, an answer that has begun."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from .adapter import Translator
from .chat import Chat


@dataclass(slots=True)
class Reply:
    """An answer that has begun. `frames` are passed on as they arrive; leaving the `async with` closes the connection."""

    frames: AsyncIterator[bytes]
    translator: Translator
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)  # those of the provider's headers that the client may see


Opening = AbstractAsyncContextManager[Reply]


class Opener(Protocol):
    """Anything that can be asked a chat: a provider, or a wrapper around other openers.

    Entering returns when the first content chunk has arrived; every failure before that is an UpstreamError.
    """

    def open(self, chat: Chat) -> Opening: ...
