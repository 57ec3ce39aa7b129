"""One connection to a provider: one request at a time, and whether it can be reused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from ssl import SSLContext
from typing import cast

from llmproxy.core.errors import Malformed, UpstreamError

from .request_writer import Request
from .response_parser import Answer

HIGH_WATER = 64 * 1024  # bytes held for a reader; above it, reading from the socket is paused
SLICE = 256 * 1024  # bytes of a request written at once


class Connection(asyncio.Protocol):
    """A transport with at most one exchange.

    One future is used for everything that the coroutine with the connection waits for: there is no queue and no task.
    """

    __slots__ = (
        "_answer", "_full", "_held", "_loop", "_paused", "_sent", "_transport", "_waiter",
        "closed", "fault", "idle_since", "reused", "silent",
    )  # fmt: skip

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer: Answer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._held = 0  # bytes received and not yet read
        self._paused = False  # reading is paused
        self._full = False  # the transport's write buffer is full
        self._sent = False  # the whole request was given to the transport
        self.closed = False
        self.fault: UpstreamError | None = None  # why the answer is not received completely
        self.silent = True  # no byte of the answer has arrived
        self.reused = False
        self.idle_since = 0.0

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:  # unexpected data must not be taken for the next answer
            self.abort()
            return
        self.silent = False
        try:
            self._answer.feed(data)
        except Malformed as fault:
            self.fault = fault
            self.abort()
        self._held += len(data)
        if self._held > HIGH_WATER and not self._paused and not self.closed:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and self.fault is None:
            self.fault = self._answer.lost(exc)
        self._wake()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Called by the coroutine that uses the connection.

    async def ask(self, request: Request) -> Answer:
        """Sends the request; returns the answer when its status and headers have arrived. Raises Dropped, Malformed, Truncated."""
        answer = self._answer = Answer(bodiless=request.bodiless)
        self.silent = True
        self._held = 0
        if request.size <= SLICE:
            self._transport.write(b"".join((request.head, *request.pieces)))
            self._sent = True
        else:
            self._sent = await self._write(request, answer)
        while not answer.begun and self.fault is None:
            await self.changed()
        if not answer.begun and self.fault is not None:
            raise self.fault
        return answer

    def changed(self) -> asyncio.Future[None]:
        """Done when anything has happened. Check the state first: earlier events are not reported again."""
        self._waiter = self._loop.create_future()
        return self._waiter

    def take(self, answer: Answer) -> bytes:
        """Waits for at least one piece of the body; returns all received pieces."""
        pieces = answer.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._held = 0
        if self._paused:
            self._resume_reading()
        return data

    @property
    def reusable(self) -> bool:
        """Whether the exchange is complete on both sides, so that the connection can be reused."""
        answer = self._answer
        over = answer is not None and answer.complete and answer.keep_alive and self._sent and not self.closed
        return over and self._transport.get_write_buffer_size() == 0

    def rest(self) -> None:
        """Ends the exchange; the connection waits for the next one."""
        self._answer = None
        self.reused = True
        self.idle_since = self._loop.time()
        if self._paused:
            self._resume_reading()

    def abort(self) -> None:
        """Closes at once, without sending buffered data."""
        self.closed = True
        self._transport.abort()

    async def secure(self, context: SSLContext, host: str) -> None:
        """Starts TLS. Raises ssl.SSLError or OSError."""
        self._answer = None
        if self.closed:
            raise ConnectionResetError("connection closed")
        transport = await self._loop.start_tls(self._transport, self, context, server_hostname=host)
        self._transport = cast("asyncio.Transport", transport)

    async def _write(self, request: Request, answer: Answer) -> bool:
        """Sends a large request; returns whether all of it was sent, because a provider may refuse it earlier."""
        self._transport.write(request.head)
        for piece in _slices(request.pieces):
            while self._full and self.fault is None and answer.status < 300:
                await self.changed()
            if self.fault is not None or answer.status >= 300:
                return False
            self._transport.write(piece)
        return True

    def _resume_reading(self) -> None:
        self._paused = False
        if not self.closed:
            self._transport.resume_reading()


def _slices(pieces: tuple[bytes | memoryview, ...]) -> Iterator[memoryview]:
    """The body as memory views, without a copy."""
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), SLICE):
            yield view[start : start + SLICE]
