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
from ..middleware.unread import Held, Unread
from .socket_options import VANISHED, affordable_connections

_STANDING = 64  # connections above the limit that still get an answer, mostly an error; further ones are closed at once
_AT_ONCE = 32  # connections accepted in one iteration of the event loop: more would delay the answers of others
_PAUSE = 0.05  # seconds without accepting after the process had no file descriptor left
_BACKLOG = 1024  # waiting connections: one that finds no room tries again after a second
_IDLE = 75.0  # seconds for which a connection without a request is kept
_EVERY = 1.0  # seconds between two checks for late request heads and idle connections


class _Queue(list[Any]):
    """Requests that wait on one connection; nearly always none or one. A deque would take 760 bytes for as long as it is open."""

    __slots__ = ()

    def popleft(self) -> Any:
        return self.pop(0)


class _NoTimer:
    """In place of aiohttp's timer for an idle connection: there is one look at all of them (`Listener.watched`)."""

    def cancel(self) -> None:
        pass


_NO_TIMER = _NoTimer()


class Connection(web.RequestHandler):
    """A client's connection. `surplus`: above the limit, or after the shutdown began; its request gets an error."""

    __slots__ = ("_held", "_listener", "_owed_since", "_unread", "_wire", "busy", "idle_since", "surplus")

    _wire: asyncio.Transport  # aiohttp releases its own reference before everything is sent

    def __init__(self, listener: Listener, *args: Any, **options: Any) -> None:
        super().__init__(*args, keepalive_timeout=0, **options)
        self._keepalive_handle = cast("Any", _NO_TIMER)
        self._messages = cast("Any", _Queue())
        self._listener = listener
        self._held: Held | None = None  # a request that is not read yet
        self._unread: list[bytes] = []  # its bytes
        self._owed_since: float | None = None  # since when the rest of a request head is missing
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
        unread = self._listener.unread
        if unread is not None and (self._held is not None or unread.turns.verdicts):
            unread.left(self, self._held)
            self._held = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._held is not None:
            self._unread.append(data)
            self._wire.pause_reading()
            return
        if not self.busy:
            if self._owed_since is None:
                self._owed_since = time.monotonic()
            unread = self._listener.unread
            if unread is not None and unread.turns.busy and not self.surplus and self._is_held(unread, data):
                return
        super().data_received(data)

    def _is_held(self, unread: Unread, data: bytes) -> bool:
        self._held = unread.hold(self, data)
        if self._held is None:
            return False
        self._unread, self._owed_since, self.busy = [data], None, True
        return True

    @property
    def address(self) -> str:
        peer = self._wire.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    def skip(self, answer: bytes) -> None:
        """Answers the request that was held back, without reading it."""
        more, self._unread, self._held = self._unread[1:], [], None
        self.busy, self.idle_since = False, time.monotonic()
        if not self._wire.is_closing():
            self._wire.write(answer)
            self._wire.resume_reading()
        if more:
            self.data_received(b"".join(more))

    def read(self) -> None:
        """Reads the request that was held back."""
        data, self._unread, self._held = b"".join(self._unread), [], None
        self.busy = False
        if not self._wire.is_closing():
            self._wire.resume_reading()
            super().data_received(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._listener.set_patience(self, reading=False)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._listener.set_patience(self, reading=True)

    def eof_received(self) -> None:
        """A half-close counts as a disconnect; waiting until everything is sent could take forever."""
        if self.busy and self.transport is not None:
            self.transport.abort()

    def head_received(self) -> None:
        self._owed_since, self.busy = None, True

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if resp.status >= 400 and isinstance(resp, web.HTTPException):  # raised where the gate cannot handle it
            resp = self.handle_error(request, resp.status)
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self.busy, self.idle_since = False, time.monotonic()

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not accepted yet."""
        return self._wire.get_write_buffer_size()

    @property
    def alone(self) -> bool:
        """Whether there is no other request."""
        return not any(one.busy for one in self._listener.inside if one is not self)

    @property
    def is_spare(self) -> bool:
        """Whether a connection above the limit may be used for a request, because enough places are left for probes."""
        return self._listener.has_spare

    def is_late(self, head_since: float, idle_since: float) -> bool:
        """Whether the rest of a request's head, or the next request, is missing since before these times."""
        if self._owed_since is not None:
            return self._owed_since < head_since
        return not self.busy and self.idle_since < idle_since

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answers input that was not HTTP, in OpenAI's form. The input appears neither in the answer nor in the log."""
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
    """Accepts connections for an aiohttp server, within the configured limits."""

    refusals: Refusals | None = None  # gets every input that was not a request
    unread: Unread | None = None  # decides which requests are read at once; without it all are

    def __init__(self, server: web.Server, limits: Server, slow_reader: float, **options: Any) -> None:
        self._server = server
        self._options = options
        self.set_limits(limits, slow_reader)
        self.inside: set[Connection] = set()
        self._refusing = False
        self._sock: socket.socket | None = None
        self._complained = -math.inf  # when the lack of file descriptors was last logged
        self._opening: set[asyncio.Task[Any]] = set()
        make = server.request_factory

        def made(message: Any, payload: Any, protocol: Any, *rest: Any) -> web.BaseRequest:
            if isinstance(protocol, Connection):
                protocol.head_received()
            return make(message, payload, protocol, *rest)

        server.request_factory = made

    def set_limits(self, limits: Server, slow_reader: float) -> None:
        """Sets new limits, also for existing connections."""
        self._slow_reader = slow_reader
        self._header_timeout = limits.header_timeout
        self._most = min(limits.max_connections, affordable_connections(limits.max_connections))

    def tell(self, error: GatewayError, address: str) -> None:
        """Reports it to the log, the metrics and /v1/requests."""
        if self.refusals is not None:
            self.refusals.add(Refusal("", time.time(), address, "", "", error.status, error.code, "", error.message))

    def open(self, sock: socket.socket) -> None:
        """Begins to accept. All waiting connections are accepted in one iteration: uvloop's own server accepts one, so that
        new connections would starve beside busy ones (7.9 s measured).
        """
        sock.listen(_BACKLOG)
        self._sock = sock
        self._listen()

    def refuse(self) -> None:
        """From now on accepts only peers; all other new connections are refused."""
        self._refusing = True

    def close(self) -> None:
        """Accepts no more; existing connections stay."""
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
            except BlockingIOError:  # no more waiting connections
                return
            except ConnectionAbortedError:  # it has already disconnected
                continue
            except OSError as error:
                self._out_of_descriptors(sock, error)
                return
            made.setblocking(False)
            task = loop.create_task(self._begin(made))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _out_of_descriptors(self, sock: socket.socket, error: OSError) -> None:
        """Closes an idle connection, if there is one, and continues after a moment. Logged at most once a second."""
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
        except OSError:  # it has already disconnected
            sock.close()

    @property
    def unsent(self) -> bool:
        """Whether a client has bytes that the kernel has not accepted yet."""
        return any(one.unsent for one in self.inside)

    @property
    def has_spare(self) -> bool:
        return len(self.inside) <= self._most + _STANDING // 2

    def entered(self, connection: Connection) -> None:
        self.inside.add(connection)
        if self._refusing:
            connection.surplus = True
            return
        connection.surplus = len(self.inside) > self._most and not self._make_room(connection)
        if len(self.inside) > self._most + _STANDING:
            connection.force_close()

    def _make_room(self, fresh: Connection | None) -> bool:
        """Closes the connection that has been idle longest, so that idle connections do not keep out new ones."""
        idle = [one for one in self.inside if not one.busy and one is not fresh]
        oldest = min(idle, key=lambda one: one.idle_since, default=None)
        if oldest is not None:
            self.inside.discard(oldest)
            oldest.force_close()
        return oldest is not None

    def set_patience(self, connection: Connection, *, reading: bool) -> None:
        """Lets the kernel drop peers that acknowledge nothing. A peer with a full buffer gets the time of a slow reader."""
        sock = connection.transport.get_extra_info("socket") if connection.transport is not None else None
        if sock is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            seconds = VANISHED if reading else max(VANISHED, 2 * self._slow_reader)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))

    def left(self, connection: Connection) -> None:
        self.inside.discard(connection)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While the block is active, closes connections whose request head does not arrive, and those that are not used."""

        last = time.monotonic()

        def look() -> None:
            nonlocal last
            before, last = last, time.monotonic()
            if last - before > _EVERY + LATE:  # the heads may have arrived while this process was suspended
                return
            head_since, idle_since = last - self._header_timeout, last - _IDLE
            for connection in [one for one in self.inside if one.is_late(head_since, idle_since)]:
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
