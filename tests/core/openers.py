"""Openers that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from llmproxy.core.chat import Chat
from llmproxy.core.opener import Reply
from llmproxy.core.usage import Usage

Act = Exception | asyncio.Event | Sequence[bytes | Exception | asyncio.Event]


@dataclass
class Counted:
    """Fills a translator's place: what the provider has counted."""

    usage: Usage | None = None
    produced: int = 0
    started: bool = True
    done: bool = False

    def feed(self, data: bytes) -> Iterable[bytes]:
        return ()

    def finish(self) -> Iterable[bytes]:
        return ()


@dataclass
class Scripted:
    """Each opening is the next act, the last one again and again: a failure, something to wait for, or a reply's frames."""

    acts: Sequence[Act] = ((b"frame",),)
    usage: Usage | None = None
    opened: list[Chat] = field(default_factory=list)
    now: int = 0  # replies that are open
    most: int = 0

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        act = self.acts[min(len(self.opened), len(self.acts) - 1)]
        self.opened.append(chat)
        chat.trace.dial("scripted", chat.model)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if isinstance(act, Exception):
                raise act.with_traceback(None)
            if isinstance(act, asyncio.Event):
                await act.wait()
            async with aclosing(_frames(() if isinstance(act, asyncio.Event) else act)) as frames:
                yield Reply(frames, Counted(self.usage), "text/event-stream")
        finally:
            self.now -= 1


async def _frames(acts: Sequence[bytes | Exception | asyncio.Event]) -> AsyncGenerator[bytes, None]:
    for act in acts:
        if isinstance(act, Exception):
            raise act.with_traceback(None)
        if isinstance(act, asyncio.Event):
            await act.wait()
        else:
            yield act


async def taken(opener: Any, chat: Chat) -> list[bytes]:
    """Opens and reads to the end."""
    async with opener.open(chat) as reply:
        return [frame async for frame in reply.frames]


async def settled() -> None:
    """Everything that can happen without time passing has happened."""
    for _ in range(20):
        await asyncio.sleep(0)
