"""A client's connection on a bare transport: one request at a time, its answer counted and not kept."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import httptools

from .frames import Order


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to ask and how: the port on loopback, the model's name there, the headers that make it answer, and the API's path."""

    port: int
    model: str
    headers: bytes
    path: str = "/v1"

    @classmethod
    def of(cls, port: int, *, model: str, headers: Mapping[str, str] | None = None, path: str = "/v1") -> Asked:
        lines = {
            "Host": f"127.0.0.1:{port}",
            "Authorization": "Bearer x",
            "Content-Type": "application/json",
            **(headers or {}),
        }
        return cls(port, model, "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode(), path)

    def request(self, order: Order, *, bulk: int = 0, image: bool = False, usage: bool = False) -> bytes:
        """The whole request as bytes: `bulk` more bytes of content, as text or as one image."""
        messages = [{"role": "user", "content": str(order)}, *(_bulk(bulk, image) if bulk else ())]
        options = {"stream_options": {"include_usage": True}} if usage else {}
        body = {"model": self.model, "messages": messages, "stream": order.streams, **options}
        data = json.dumps(body, separators=(",", ":")).encode()
        line = f"POST {self.path}/chat/completions HTTP/1.1\r\n".encode()
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (line, self.headers, len(data), data)


def _bulk(size: int, image: bool) -> list[dict[str, object]]:
    if image:
        url = "data:image/png;base64," + "iVBORw0KGgo" * (size // 11)
        return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]
    turn = 'What one says in a long conversation, with a few "quotes", a line\nand words. ' * 25  # about 2 KB
    return [{"role": ("user", "assistant")[number % 2], "content": turn} for number in range(size // len(turn))]


class Call(asyncio.Protocol):
    """A connection that sends requests and parses answers; what it learns is told to the hooks below."""

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.pending = False  # a request has been sent and its answer has not ended

    def send(self, request: bytes) -> None:
        self.pending = True
        self.status = 0
        self.transport.write(request)

    # Hooks.

    def headers_came(self) -> None: ...

    def body_came(self, body: bytes) -> None: ...

    def answered(self) -> None: ...

    # From the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not registered as one

    def data_received(self, data: bytes) -> None:
        if self._parser is not None:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError:
                self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._parser = None
        if not self.ended.done():
            self.ended.set_result(None)

    # From the parser.

    def on_headers_complete(self) -> None:
        if self._parser is not None:
            self.status = self._parser.get_status_code()
        self.headers_came()

    def on_body(self, body: bytes) -> None:
        self.body_came(body)

    def on_message_complete(self) -> None:
        self.pending = False
        self.answered()

    def close(self) -> None:
        """Hangs up at once; harmless where nothing was opened."""
        if hasattr(self, "transport"):
            self.transport.abort()

    async def open(self, port: int, *, receive_buffer: int = 0, rudely: bool = False) -> None:
        """Connects to loopback. `receive_buffer`: bytes asked of the kernel. `rudely`: will close with RST. Raises OSError."""
        sock = socket.socket()
        try:
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if rudely:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, ("127.0.0.1", port))
            await loop.create_connection(lambda: self, sock=sock)
        except OSError:
            sock.close()
            raise


class _Once(Call):
    def answered(self) -> None:
        self.transport.close()


async def once(asked: Asked, order: Order, patience: float = 10.0) -> int:
    """Asks one thing; the status of its whole answer, or 0."""
    call = _Once()
    try:
        async with asyncio.timeout(patience):
            await call.open(asked.port)
            call.send(asked.request(order))
            await call.ended
    except (OSError, TimeoutError):
        return 0
    return 0 if call.pending else call.status


@dataclass(slots=True)
class Tally:
    """What a measurement's calls came to. Latencies are in seconds."""

    answers: int
    errors: int
    latencies: list[float]


class _Repeating(Call):
    """Asks the same again as soon as it was answered, until the deadline (of time.perf_counter)."""

    def __init__(self, request: bytes, deadline: float, tally: Tally) -> None:
        super().__init__()
        self._request = request
        self._deadline = deadline
        self._tally = tally
        self._sent = 0.0

    def ask(self) -> None:
        self._sent = time.perf_counter()
        self.send(self._request)

    def answered(self) -> None:
        now = time.perf_counter()
        if self.status == 200:
            self._tally.answers += 1
            self._tally.latencies.append(now - self._sent)
        else:
            self._tally.errors += 1
        if now < self._deadline:
            self.ask()
        else:
            self.transport.close()


async def closed_loop(asked: Asked, request: bytes, concurrency: int, seconds: float, patience: float = 60.0) -> Tally:
    """`concurrency` connections, each asking again as soon as it was answered; ends when all that was asked is answered."""
    tally = Tally(0, 0, [])
    deadline = time.perf_counter() + seconds

    async def connection() -> None:
        while True:
            call = _Repeating(request, deadline, tally)
            try:
                await call.open(asked.port)
            except OSError:
                tally.errors += 1
                return
            call.ask()
            try:
                await call.ended
            finally:
                call.transport.abort()
            tally.errors += call.pending
            if time.perf_counter() >= deadline or call.pending:
                return

    try:
        async with asyncio.timeout(seconds + patience), asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(connection())
    except TimeoutError:
        tally.errors += concurrency
    return tally
