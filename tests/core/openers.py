"""Openers that do as they are told, and a loop whose clock jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from llmproxy.core.chat import Chat
from llmproxy.core.opener import Reply
from llmproxy.core.usage import Usage

T = TypeVar("T")
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


class _Jump(selectors.DefaultSelector):
    """Waits for nothing: the time that would have been waited is added to `skipped`."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits, and no timer will wake it")
        self.skipped += max(0.0, timeout)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return 1000.0 + self._jump.skipped


def played(play: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns, at once, however long it sleeps. The loop's clock moves with its timers only."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(play)
