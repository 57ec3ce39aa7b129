"""Contract 2: the Opener, anything a chat can be sent to, and Reply, the open response."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from .adapter import Translator
from .chat import Chat


@dataclass(slots=True)
class Reply:
    """An answer that has begun. `frames` are handed on as they come; leaving the `async with` hangs up."""

    frames: AsyncIterator[bytes]
    translator: Translator
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)  # the provider's, those a client may see


Opening = AbstractAsyncContextManager[Reply]


class Opener(Protocol):
    """One provider, a retried one, a list of choices: all have this one face.

    Entering returns once the first real frame is there; every failure before that is an UpstreamError.
    """

    def open(self, chat: Chat) -> Opening: ...
