"""Hedged requests: starts a second provider when the first is slow; the first to start wins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from llmproxy.core.chat import Chat
from llmproxy.core.errors import BadRequest, GatewayError, UpstreamError
from llmproxy.core.opener import Opener, Reply

_AHEAD = 4  # blocks that are read before the client takes them


class HedgingOpener:
    """A chain whose next provider is asked in parallel after `seconds` without a first content chunk.

    The losing request is cancelled. This saves time and may cost money: not every provider stops billing on a disconnect.
    """

    def __init__(self, choices: Sequence[tuple[Opener, str]], *, seconds: float, attempts: int) -> None:
        self._choices = choices
        self._seconds = seconds
        self._attempts = attempts

    @asynccontextmanager
    async def open(self, chat: Chat) -> AsyncIterator[Reply]:
        racers: list[_Racer] = []
        try:
            winner = await self._race(chat, racers)
            for racer in racers:
                if racer is not winner:
                    racer.trace.lost = True
                    racer.task.cancel()
            chat.trace.provider, chat.trace.model = winner.trace.provider, winner.trace.model
            reply = winner.opened.result()
            async with aclosing(winner.frames()) as frames:
                yield Reply(frames, reply.translator, reply.content_type, reply.headers)
        finally:
            for racer in racers:
                racer.task.cancel()
            ends: list[asyncio.Future[Any]] = [*(one.task for one in racers), *(one.opened for one in racers)]
            await asyncio.gather(*ends, return_exceptions=True)  # their outcome was already used, or is too late

    async def _race(self, chat: Chat, racers: list[_Racer]) -> _Racer:
        """The first attempt to begin. Raises the last failure if none does, or the first failure for which no other provider
        can help.
        """
        waiting: set[asyncio.Future[Reply]] = set()
        for number, (opener, model) in enumerate(self._choices):
            last = number == len(self._choices) - 1 or chat.trace.attempts >= self._attempts
            racers.append(_Racer(opener, chat, model))
            waiting.add(racers[-1].opened)
            while waiting:
                done, waiting = await asyncio.wait(
                    waiting, timeout=None if last else self._seconds, return_when=asyncio.FIRST_COMPLETED
                )
                for one in racers:
                    if one.opened in done and one.opened.exception() is None:
                        return one
                failure = next((one.exception() for one in done), None)
                if failure is not None and ((last and not waiting) or not _mendable(failure)):
                    chat.trace.provider, chat.trace.model = racers[-1].trace.provider, racers[-1].trace.model
                    raise failure
                if not last:  # it is slow or has failed: ask the next one
                    break
        raise AssertionError("a chain is never empty")


class _Racer:
    """One provider's attempt in a task of its own, because an opener must be left in the task that entered it."""

    def __init__(self, opener: Opener, chat: Chat, model: str) -> None:
        self.trace = chat.trace.branch()
        self.opened: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._blocks: asyncio.Queue[bytes | GatewayError | None] = asyncio.Queue(_AHEAD)
        asked = chat.traced(self.trace, model)
        self.task = asyncio.get_running_loop().create_task(self._run(opener, asked))

    async def frames(self) -> AsyncGenerator[bytes, None]:
        while (block := await self._blocks.get()) is not None:
            if isinstance(block, GatewayError):
                raise block
            yield block

    async def _run(self, opener: Opener, chat: Chat) -> None:
        try:
            async with opener.open(chat) as reply:
                self.opened.set_result(reply)
                async for block in reply.frames:
                    await self._blocks.put(block)
        except GatewayError as error:
            if not self.opened.done():
                self.opened.set_exception(error)
                return
            await self._blocks.put(error)
        except Exception as error:  # passed on to the waiting task
            if self.opened.done():
                raise
            self.opened.set_exception(error)
            return
        finally:
            self.opened.cancel()
        await self._blocks.put(None)


def _mendable(failure: BaseException) -> bool:
    return isinstance(failure, BadRequest) or (isinstance(failure, UpstreamError) and failure.try_elsewhere)
