"""A provider that says exactly the bytes a test gives it, over a plain socket."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ssl import SSLContext

Talk = Callable[["Peer"], Awaitable[None]]

LINGER_NOT = struct.pack("ii", 1, 0)


async def collect(pieces: AsyncIterable[bytes], into: list[bytes]) -> None:
    async for piece in pieces:
        into.append(piece)


def answer(body: bytes = b"ok", status: str = "200 OK", *fields: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in (f"Content-Length: {len(body)}", *fields))
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


class Peer:
    """The provider's end of one connection."""

    def __init__(self, provider: Provider, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.provider = provider
        self.reader = reader
        self.writer = writer
        self.requests: list[bytes] = []
        self.ended = asyncio.Event()

    async def request(self) -> bytes:
        """Reads one request, body included. Raises IncompleteReadError when the client has gone instead."""
        head = await self.head()
        lines = head.decode("latin-1").lower().split("\r\n")
        length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), 0)
        self.requests[-1] += await self.reader.readexactly(length)
        return self.requests[-1]

    async def head(self) -> bytes:
        self.requests.append(await self.reader.readuntil(b"\r\n\r\n"))
        return self.requests[-1]

    async def say(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))
        await self.writer.drain()

    async def gone(self) -> None:
        """Waits until the client has closed."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def reset(self) -> None:
        """Ends the connection with RST."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        self.writer.transport.abort()


@dataclass
class Provider:
    port: int
    scheme: str = "http"
    peers: list[Peer] = field(default_factory=list)  # one for each connection ever made
    events: asyncio.Queue[str] = field(default_factory=asyncio.Queue)  # what a script wants its test to know

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/v1"

    @property
    def requests(self) -> list[bytes]:
        return [request for peer in self.peers for request in peer.requests]


@asynccontextmanager
async def serving(talk: Talk, ssl: SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Provider]:
    """Runs `talk` for each connection and closes it thereafter."""
    tasks: list[asyncio.Task[None]] = []

    def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        provider.peers.append(Peer(provider, reader, writer))
        tasks.append(asyncio.ensure_future(run(provider.peers[-1])))

    async def run(peer: Peer) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await talk(peer)
        finally:
            peer.writer.close()
            peer.ended.set()

    server = await asyncio.start_server(meet, host, 0, ssl=ssl)
    provider = Provider(server.sockets[0].getsockname()[1], "https" if ssl else "http")
    try:
        yield provider
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def saying(*answers: bytes) -> Talk:
    """Answers each request on a connection with the next of these, the last again and again."""

    async def talk(peer: Peer) -> None:
        left = list(answers)
        while True:
            await peer.request()
            await peer.say(left.pop(0) if len(left) > 1 else left[0])

    return talk


def saying_once(*data: bytes) -> Talk:
    """Answers one request and closes, each of the data in a segment of its own."""

    async def talk(peer: Peer) -> None:
        await peer.request()
        for piece in data:
            await peer.say(piece)

    return talk
