"""Listening socket: connection limit, header timeout, and replies to input that is not HTTP."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from llmproxy.config import Server
from llmproxy.core.clock import LATE
from llmproxy.core.errors import BadRequest, GatewayError
from llmproxy.observe.log import log
from llmproxy.observe.periodic import attempt, every
from llmproxy.observe.refusals import Refusal, Refusals

from ..middleware.headers import NAME
from .socket_options import VANISHED, affordable_connections

_STANDING = 64  # connections beyond the limit that are still told why; further ones are closed at once
_AT_ONCE = 128  # connections accepted in one turn of the event loop
_PAUSE = 0.05  # seconds without accepting after the system had no file descriptor left
_BACKLOG = 1024  # that wait for it: one that finds no room tries again after a second
_EVERY = 1.0  # seconds between two looks for heads that do not come


class Connection(web.RequestHandler):
    """A client's connection. `surplus`: one too many, or too late; it is told so when it asks."""

    __slots__ = ("_listener", "_owed_since", "_wire", "busy", "idle_since", "surplus")

    _wire: asyncio.Transport  # aiohttp forgets its own before all is sent

    def __init__(self, listener: Listener, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._listener = listener
        self._owed_since: float | None = None  # since when the client owes us the rest of a head
        self.busy = False
        self.idle_since = time.monotonic()
        self.surplus = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wire = cast("asyncio.Transport", transport)
        self._owed_since = time.monotonic()
        self._listener.entered(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._listener.left(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._owed_since is None and not self.busy:
            self._owed_since = time.monotonic()
        super().data_received(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._listener.set_patience(self, reading=False)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._listener.set_patience(self, reading=True)

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
            self.busy, self.idle_since = False, time.monotonic()

    @property
    def unsent(self) -> int:
        """Bytes that the system has not taken yet."""
        return self._wire.get_write_buffer_size()

    @property
    def alone(self) -> bool:
        """Whether nobody else is asking or being answered."""
        return not any(one.busy for one in self._listener.inside if one is not self)

    def is_late(self, since: float) -> bool:
        return self._owed_since is not None and self._owed_since < since

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What was not HTTP, in OpenAI's form. Nothing of what was sent is repeated, in the answer or in the log."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        error = _refusal(status, exc)
        self._listener.tell(error, str(request.remote or ""))
        response = web.Response(
            status=error.status,
            body=error.as_bytes(),
            content_type="application/json",
            headers={"Server": NAME},
        )
        response.force_close()
        return response


class Listener:
    """Accepts connections for a server of aiohttp's, within the limits of the config."""

    refusals: Refusals | None = None  # told of what was no request

    def __init__(self, server: web.Server, limits: Server, slow_reader: float, **options: Any) -> None:
        self._server = server
        self._options = options
        self.set_limits(limits, slow_reader)
        self.inside: set[Connection] = set()
        self._refusing = False
        self._sock: socket.socket | None = None
        self._complained = -math.inf  # when it was said last that there is no file descriptor left
        self._opening: set[asyncio.Task[Any]] = set()
        make = server.request_factory

        def made(message: Any, payload: Any, protocol: Any, *rest: Any) -> web.BaseRequest:
            if isinstance(protocol, Connection):
                protocol.head_received()
            return make(message, payload, protocol, *rest)

        server.request_factory = made

    def set_limits(self, limits: Server, slow_reader: float) -> None:
        """From now on, for those who are inside as well."""
        self._slow_reader = slow_reader
        self._header_timeout = limits.header_timeout
        self._most = min(limits.max_connections, affordable_connections(limits.max_connections))

    def tell(self, error: GatewayError, address: str) -> None:
        """For the log, the metrics and /v1/requests."""
        if self.refusals is not None:
            self.refusals.add(Refusal("", time.time(), address, "", "", error.status, error.code, "", error.message))

    def open(self, sock: socket.socket) -> None:
        """Begins to accept. All that wait are accepted in a turn: uvloop's own server takes one, so that beside busy
        connections new ones would starve (7.9 s measured)."""
        sock.listen(_BACKLOG)
        self._sock = sock
        self._listen()

    def refuse(self) -> None:
        """Accepts peers only: everybody else who comes from now on is refused."""
        self._refusing = True

    def close(self) -> None:
        """Accepts no more; who is inside stays."""
        sock, self._sock = self._sock, None
        if sock is not None:
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()

    def _listen(self) -> None:
        if self._sock is not None:
            asyncio.get_running_loop().add_reader(self._sock, self._accept, self._sock)

    def _accept(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_AT_ONCE):
            try:
                made, _ = sock.accept()
            except BlockingIOError:  # nobody waits any more
                return
            except ConnectionAbortedError:  # it has left already
                continue
            except OSError as error:
                self._out_of_descriptors(sock, error)
                return
            made.setblocking(False)
            task = loop.create_task(self._begin(made))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _out_of_descriptors(self, sock: socket.socket, error: OSError) -> None:
        """Gives one back, if any connection is idle, and goes on after a moment. Says so once a second at most."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._complained > _EVERY:
            log.error("accept_failed", reason=error.strerror, connections=len(self.inside))
        self._complained = loop.time()
        self._make_room(None)
        loop.remove_reader(sock)
        loop.call_later(_PAUSE, attempt, self._listen, "listener")

    async def _begin(self, sock: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._connection, sock)
        except OSError:  # it has left already
            sock.close()

    @property
    def unsent(self) -> bool:
        """Whether there is something left for a client that the system has not taken yet."""
        return any(one.unsent for one in self.inside)

    def entered(self, connection: Connection) -> None:
        self.inside.add(connection)
        if self._refusing:
            connection.surplus = True
            return
        connection.surplus = len(self.inside) > self._most and not self._make_room(connection)
        if len(self.inside) > self._most + _STANDING:
            connection.force_close()

    def _make_room(self, fresh: Connection | None) -> bool:
        """Closes the connection that has been idle longest: one that is kept for later must not lock newcomers out."""
        idle = [one for one in self.inside if not one.busy and one is not fresh]
        oldest = min(idle, key=lambda one: one.idle_since, default=None)
        if oldest is not None:
            self.inside.discard(oldest)
            oldest.force_close()
        return oldest is not None

    def set_patience(self, connection: Connection, *, reading: bool) -> None:
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

        last = time.monotonic()

        def look() -> None:
            nonlocal last
            before, last = last, time.monotonic()
            if last - before > _EVERY + LATE:  # the heads may have come while this process was stopped
                return
            since = last - self._header_timeout
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
