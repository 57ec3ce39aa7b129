"""Stores the beginning of request and answer, if the operator wants them in the flight record or in spans."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson

from llmproxy.core.chat import Chat
from llmproxy.core.flight import Content
from llmproxy.core.opener import Opener, Reply


class RecordingOpener:
    """most, exported: bytes of the request, and of the answer, for the flight record and for a collector."""

    def __init__(self, inner: Opener, most: int, exported: int = 0) -> None:
        self._inner = inner
        self._most = most
        self._exported = exported

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        asked = chat.raw if chat.raw is not None else orjson.dumps(chat.body)
        content = chat.trace.content = Content(
            self._most, asked[: max(self._most, self._exported)], exported=self._exported
        )
        async with self._inner.open(chat) as reply:
            yield Reply(_taken(reply.frames, content), reply.translator, reply.content_type, reply.headers)


async def _taken(frames: AsyncIterator[bytes], content: Content) -> AsyncIterator[bytes]:
    async for block in frames:
        content.take(block)
        yield block
