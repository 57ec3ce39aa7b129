"""A detached answer under /v1: its task writes to a replay buffer, and all clients are readers of it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from llmproxy.core.dialect import Dialect
from llmproxy.core.opener import Reply
from llmproxy.requests.replay_buffer import ReplayBuffer
from llmproxy.requests.running import Running

from ..middleware import errors


class DetachedAnswer:
    """OpenAI's events with their numbers as `id:`. An answer that is not streamed is one event."""

    def __init__(
        self, opening: AbstractAsyncContextManager[Reply], buffer: ReplayBuffer, dialect: Dialect | None = None
    ) -> None:
        self._opening = opening
        self._dialect = dialect
        self.buffer = buffer

    async def work(self, running: Running) -> None:
        """The work of the request's task."""
        try:
            with running.decides():
                running.begin()
                await self._answer(running)
        finally:
            self._announce(running)
            self.buffer.close()

    @property
    def body(self) -> bytes:
        """The body of an answer that is not streamed."""
        _, event = self.buffer.take(0)
        return event.partition(b"data: ")[2].strip()

    async def _answer(self, running: Running) -> None:
        async with self._opening as reply:
            running.began(reply)
            more = {} if self._dialect is None else self._dialect.headers(running.id)
            running.headers = {**errors.trace_headers(running.trace), **more, **reply.headers}
            async for block in reply.frames:
                if reply.translator.done:
                    running.complete()
                self._take(block if running.stream else b"data: " + block)

    def _take(self, block: bytes) -> None:
        for event in block.split(b"\n\n"):
            if event:
                self.buffer.append(b"id: %d\n%b\n\n" % (self.buffer.newest + 1, event))

    def _announce(self, running: Running) -> None:
        if running.error is None:
            return
        if self.buffer.newest == 0:  # it never began: its readers get an HTTP status
            running.refused = running.error
        else:
            self._take(errors.event(running.error, self._dialect, running.reply))
