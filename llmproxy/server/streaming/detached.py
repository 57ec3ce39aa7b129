"""A detached answer under /v1: its task tells it to a tape, and every client, the first one too, is a reader of that."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from llmproxy.core.errors import Cancelled, GatewayError
from llmproxy.core.opener import Reply
from llmproxy.requests.registry import Running
from llmproxy.requests.replay_buffer import Tape

from ..middleware import errors


class Taped:
    """OpenAI's events, each with its number as `id:`. An answer that is not streamed is one event."""

    def __init__(self, opening: AbstractAsyncContextManager[Reply], tape: Tape) -> None:
        self._opening = opening
        self.tape = tape

    async def work(self, running: Running) -> None:
        """The work of the request's task."""
        try:
            await self._answer(running)
        except asyncio.CancelledError:
            self._fail(running, Cancelled.because(running.by))
            raise
        except GatewayError as error:
            self._fail(running, error)
            raise
        finally:
            self.tape.close()

    @property
    def body(self) -> bytes:
        """The answer that was not streamed."""
        _, event = self.tape.take(0)
        return event.partition(b"data: ")[2].strip()

    async def _answer(self, running: Running) -> None:
        async with self._opening as reply:
            running.began(reply)
            running.headers = {**errors.told(running.trace), **reply.headers}
            async for block in reply.frames:
                self._take(block if running.stream else b"data: " + block)

    def _take(self, block: bytes) -> None:
        for event in block.split(b"\n\n"):
            if event:
                self.tape.append(b"id: %d\n%b\n\n" % (self.tape.newest + 1, event))

    def _fail(self, running: Running, error: GatewayError) -> None:
        if self.tape.newest == 0:  # it never began: its readers are told by status
            running.refused = error
        else:
            self._take(errors.event(error))
