"""A client on a raw socket, which can do to a server whatever a network or a broken program does."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: closing sends RST
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client got: `whole` if the answer was framed to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object, of a JSON answer or of a stream's last event."""
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            return dict(self.events[-1]["error"])
        return dict(self.json["error"])

    @property
    def events(self) -> list[Any]:
        """The data of a stream's events; `[DONE]` as text."""
        data = [line[6:] for line in self.body.split(b"\n") if line.startswith(b"data: ")]
        return ["[DONE]" if one == b"[DONE]" else orjson.loads(one) for one in data]

    @property
    def text(self) -> str:
        chunks = [one for one in self.events if isinstance(one, dict) and one.get("choices")]
        return "".join(one["choices"][0]["delta"].get("content") or "" for one in chunks)


class Wire:
    """One connection. Nothing is read before it is asked for."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._got = bytearray()

    @classmethod
    async def open(cls, port: int, *, receive_buffer: int | None = None) -> Self:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(sock, (HOST, port))
        return cls(sock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.sock.close()

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    # Three ways to leave

    def fin(self) -> None:
        self.sock.close()

    def rst(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.sock.close()

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    # What comes

    async def until(self, sign: bytes) -> bytes:
        """Everything up to and with `sign`; kept for `answer` too."""
        while sign not in self._got:
            await self._more()
        return bytes(self._got[: self._got.index(sign) + len(sign)])

    async def more(self, count: int) -> None:
        """Takes at most so many bytes, kept for `answer`."""
        data = await asyncio.get_running_loop().sock_recv(self.sock, count)
        self._got += data

    async def rest(self) -> bytes:
        """Everything until the server closes the connection, or resets it."""
        try:
            while True:
                await self._more()
        except (EOFError, ConnectionError):
            return bytes(self._got)

    async def answer(self) -> Seen:
        """One whole answer, or as much of it as came before the connection ended."""
        await self.until(b"\r\n\r\n")
        head, _, _ = bytes(self._got).partition(b"\r\n\r\n")
        del self._got[: len(head) + 4]
        status, headers = _parsed(head)
        try:
            body = await self._body(headers)
        except (EOFError, ConnectionError):
            return Seen(status, headers, joined(bytes(self._got)), whole=False)
        return Seen(status, headers, body, whole=True)

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            return await self._chunks()
        length = int(headers.get("content-length", "0"))
        while len(self._got) < length:
            await self._more()
        body = bytes(self._got[:length])
        del self._got[:length]
        return body

    async def _chunks(self) -> bytes:
        while not (self._got.startswith(b"0\r\n\r\n") or b"\r\n0\r\n\r\n" in self._got):
            await self._more()
        end = 0 if self._got.startswith(b"0\r\n\r\n") else self._got.index(b"\r\n0\r\n\r\n") + 2
        body = joined(bytes(self._got[:end]))
        del self._got[: end + 5]
        return body

    async def _more(self) -> None:
        data = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
        if not data:
            raise EOFError
        self._got += data


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in fields}


def joined(chunks: bytes) -> bytes:
    """The body in chunks as far as they are there."""
    parts = []
    while chunks:
        size, found, chunks = chunks.partition(b"\r\n")
        if not found:
            break
        parts.append(chunks[: int(size, 16)])
        chunks = chunks[int(size, 16) + 2 :]
    return b"".join(parts)


def post(path: str, body: Any, **headers: str) -> bytes:
    """A request's bytes. Underscores in header names stand for hyphens."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    given = {"Host": HOST, "Content-Type": "application/json", "Content-Length": str(len(raw))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + raw


def get(path: str, **headers: str) -> bytes:
    given = {"Host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
