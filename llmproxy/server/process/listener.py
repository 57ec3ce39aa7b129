"""The way in from the network: how many may be inside, how long a head may take, and what is said to what is not HTTP."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from llmproxy.config import Server
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.observe.periodic import every

from ..middleware.headers import NAME
from .socket_options import VANISHED, affordable_connections

_STANDING = 64  # connections beyond the limit that are still told why; further ones are closed at once
_AT_ONCE = (
    128  # connections accepted in a row; asyncio logs as many tracebacks when file descriptors run out (measured)
)
_BACKLOG = 1024  # that wait for it: one that finds no room tries again after a second
_EVERY = 1.0  # seconds between two looks for heads that do not come


class Connection(web.RequestHandler):
    """A client's connection. `surplus`: one too many; it is told so when it asks."""

    __slots__ = ("_door", "_owed_since", "_wire", "busy", "surplus")

    _wire: asyncio.Transport  # aiohttp forgets its own before all is sent

    def __init__(self, door: Door, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._door = door
        self._owed_since: float | None = None  # since when the client owes us the rest of a head
        self.busy = False
        self.surplus = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wire = cast("asyncio.Transport", transport)
        self._owed_since = time.monotonic()
        self._door.entered(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._door.left(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._owed_since is None and not self.busy:
            self._owed_since = time.monotonic()
        super().data_received(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._door.bear(self, reading=False)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._door.bear(self, reading=True)

    def eof_received(self) -> None:
        """A client that says no more has left; waiting until what was written is taken could take for ever."""
        if self.busy and self.transport is not None:
            self.transport.abort()

    def head_received(self) -> None:
        self._owed_since, self.busy = None, True

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException) and resp.status >= 400:  # raised where the gate does not see it
            resp = self.handle_error(request, resp.status)
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self.busy = False

    @property
    def unsent(self) -> int:
        """Bytes that the system has not taken yet."""
        return self._wire.get_write_buffer_size()

    @property
    def alone(self) -> bool:
        """Whether nobody else is asking or being answered."""
        return not any(one.busy for one in self._door.inside if one is not self)

    def is_late(self, since: float) -> bool:
        return self._owed_since is not None and self._owed_since < since

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What was not HTTP, in OpenAI's form. Nothing of what was sent is repeated, in the answer or in the log."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        response = web.Response(
            status=(error := _refusal(status, exc)).status,
            body=error.as_bytes(),
            content_type="application/json",
            headers={"Server": NAME},
        )
        response.force_close()
        return response


class Door:
    """Accepts connections for a server of aiohttp's, within the limits of the config."""

    def __init__(self, server: web.Server, limits: Server, slow_reader: float, **options: Any) -> None:
        self._server = server
        self._slow_reader = slow_reader
        self._options = options
        self._header_timeout = limits.header_timeout
        self._most = min(limits.max_connections, affordable_connections(limits.max_connections))
        self.inside: set[Connection] = set()
        self._listening: asyncio.Server | None = None
        make = server.request_factory

        def made(message: Any, payload: Any, protocol: Any, *rest: Any) -> web.BaseRequest:
            if isinstance(protocol, Connection):
                protocol.head_received()
            return make(message, payload, protocol, *rest)

        server.request_factory = made

    async def open(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._connection, sock=sock, backlog=_AT_ONCE)
        sock.listen(_BACKLOG)

    def close(self) -> None:
        """Accepts no more; who is inside stays."""
        if self._listening is not None:
            self._listening.close()

    @property
    def unsent(self) -> bool:
        """Whether there is something left for a client that the system has not taken yet."""
        return any(one.unsent for one in self.inside)

    def entered(self, connection: Connection) -> None:
        self.inside.add(connection)
        connection.surplus = len(self.inside) > self._most
        if len(self.inside) > self._most + _STANDING:
            connection.force_close()

    def bear(self, connection: Connection, *, reading: bool) -> None:
        """The system gives up peers that acknowledge nothing. One that is there, but full, is given the time of a reader."""
        sock = connection.transport.get_extra_info("socket") if connection.transport is not None else None
        if sock is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            seconds = VANISHED if reading else max(VANISHED, 2 * self._slow_reader)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))

    def left(self, connection: Connection) -> None:
        self.inside.discard(connection)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Closes, for as long as the block lasts, connections whose head does not come."""

        def look() -> None:
            since = time.monotonic() - self._header_timeout
            for connection in [one for one in self.inside if one.is_late(since)]:
                connection.force_close()

        with every(_EVERY, look, "header_timeouts"):
            yield

    def _connection(self) -> Connection:
        return Connection(self, self._server, loop=asyncio.get_running_loop(), **self._options)


def _refusal(status: int, error: BaseException | None) -> GatewayError:
    if isinstance(error, LineTooLong):
        return BadRequest("A line of the request's head is too long.", status=431, code="header_too_large")
    if status < 500:
        return BadRequest("This is not a request that can be answered.", status=status, code="invalid_http")
    return GatewayError("The gateway failed.", status=status, code="internal_error")
