"""Keeps the beginning of what is asked and answered, for an operator who wants that in the flight record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson

from llmproxy.core.chat import Chat
from llmproxy.core.flight import Content
from llmproxy.core.opener import Opener, Reply


class RecordingOpener:
    """most: bytes of the question, and as many of the answer."""

    def __init__(self, inner: Opener, most: int) -> None:
        self._inner = inner
        self._most = most

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        asked = chat.raw if chat.raw is not None else orjson.dumps(chat.body)
        content = chat.trace.content = Content(self._most, asked[: self._most])
        async with self._inner.open(chat) as reply:
            yield Reply(_taken(reply.frames, content), reply.translator, reply.content_type, reply.headers)


async def _taken(frames: AsyncIterator[bytes], content: Content) -> AsyncIterator[bytes]:
    async for block in frames:
        content.take(block)
        yield block
