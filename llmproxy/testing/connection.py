"""One scripted HTTP/1.1 connection: its requests, its answers, and when it was closed.

It writes HTTP itself, because a test must be able to choose where a stream is cut, split or stopped.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

import orjson

Framing = Literal["chunked", "length", "close"]
Ending = Literal["end", "fin", "rst", "hang"]

_LINGER_NONE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: closing sends RST
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one request is answered.

    pieces: written one by one with `every` seconds in between, each in its own write.
    framing: how the end of the body is marked: by chunks, a Content-Length, or closing.
    ending: after the last piece: a proper end, a close or reset within the body, or silence.
    silent: nothing is sent, not even a status line.
    delay: seconds until the status line.
    """

    pieces: Sequence[bytes] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    every: float = 0.0
    framing: Framing = "chunked"
    ending: Ending = "end"
    silent: bool = False
    delay: float = 0.0

    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(self._length())
        return "\r\n".join(lines).encode("latin-1") + _HEAD_END

    def _length(self) -> str:
        if self.framing == "length":
            return f"content-length: {sum(map(len, self.pieces))}"
        return "transfer-encoding: chunked" if self.framing == "chunked" else "connection: close"


@dataclass(slots=True)
class Exchange:
    """One received request, and what happened to its connection. Times are of `time.monotonic()`."""

    method: str
    path: str  # with the query
    headers: dict[str, str]  # names in lower case
    body: bytes
    received_at: float
    head_sent: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    sent: asyncio.Event = field(default_factory=asyncio.Event, repr=False)  # every piece was written
    closed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)  # the connection was closed
    closed_at: float | None = None

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Connection(asyncio.Protocol):
    """One connection: reads a request, answers it, reads the next."""

    def __init__(self, answer: Callable[[Exchange], Behaviour], open_ones: set[Connection]) -> None:
        self._answer_for = answer
        self._open_ones = open_ones
        self.answering: asyncio.Task[None] | None = None  # cancelled by connection_lost, awaited by hang_up
        self._inbox = bytearray()
        self._exchange: Exchange | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._open_ones.add(self)

    def data_received(self, data: bytes) -> None:
        self._inbox += data
        self._read_next()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._open_ones.discard(self)
        if self._exchange is not None:
            self._exchange.closed_at = time.monotonic()
            self._exchange.closed.set()
        if self.answering is not None:
            self.answering.cancel()

    def abort(self) -> None:
        """Closes with RST."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None and not self.transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self.transport.abort()

    def _read_next(self) -> None:
        if self.answering is not None:
            return
        exchange = parse_request(self._inbox)
        if exchange is not None:
            self._exchange = exchange
            behaviour = self._answer_for(exchange)
            self.answering = asyncio.get_running_loop().create_task(self._answer(exchange, behaviour))

    async def _answer(self, exchange: Exchange, behaviour: Behaviour) -> None:
        await asyncio.sleep(behaviour.delay)
        if not behaviour.silent:
            await self._write(exchange, behaviour)
        if behaviour.ending == "hang" or behaviour.silent:
            return  # the connection stays open until the other side disconnects
        self._end(behaviour)
        if not self.transport.is_closing():
            self.answering = self._exchange = None
            self._read_next()

    async def _write(self, exchange: Exchange, behaviour: Behaviour) -> None:
        self.transport.write(behaviour.head())
        exchange.head_sent.set()
        for number, piece in enumerate(behaviour.pieces):
            await asyncio.sleep(behaviour.every if number else 0)
            await self._writable.wait()
            chunked = behaviour.framing == "chunked"
            self.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked and piece else piece)
        exchange.sent.set()

    def _end(self, behaviour: Behaviour) -> None:
        if behaviour.ending == "rst":
            self.abort()
        elif behaviour.ending == "fin" or behaviour.framing == "close":
            self.transport.close()
        elif behaviour.framing == "chunked":
            self.transport.write(b"0\r\n\r\n")


def parse_request(inbox: bytearray) -> Exchange | None:
    """Removes one complete request from the received bytes; None if it is not complete."""
    head, found, _ = bytes(inbox).partition(_HEAD_END)
    if not found:
        return None
    request_line, *lines = head.decode("latin-1").split("\r\n")
    method, path, _version = request_line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body_and_end = _take_body(headers, bytes(inbox[len(head) + 4 :]))
    if body_and_end is None:
        return None
    body, end = body_and_end
    del inbox[: len(head) + 4 + end]
    return Exchange(method, path, headers, body, time.monotonic())


def _take_body(headers: Mapping[str, str], data: bytes) -> tuple[bytes, int] | None:
    """The body, and its length on the wire in bytes; None while it is not complete."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _take_chunks(data)
    length = int(headers.get("content-length", "0"))
    return (data[:length], length) if len(data) >= length else None


_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]+)[^\r\n]*\r\n")


def _take_chunks(data: bytes) -> tuple[bytes, int] | None:
    parts: list[bytes] = []
    at = 0
    while match := _CHUNK_SIZE.match(data, at):
        size = int(match[1], 16)
        start, at = match.end(), match.end() + size + 2
        if len(data) < at:
            return None
        if size == 0:
            return b"".join(parts), at
        parts.append(data[start : start + size])
    return None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
