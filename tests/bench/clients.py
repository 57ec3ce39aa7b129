"""CPU of llmproxy's HTTP client beside aiohttp's, for the same requests to the same mock.

Run: python -m tests.bench.clients

The mock is a process of its own; what is counted is the CPU time of this one, per small JSON request, per paced event
and per burst event. Compare rows of one run only.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from multiprocessing.connection import Connection as Pipe
from typing import Protocol, cast

import aiohttp
import uvloop

from llmproxy.core.adapter import Outgoing
from llmproxy.upstream.http import Client

ASKED = b'{"model":"mock","messages":[{"role":"user","content":"hello"}]}'
FIELDS = {"Authorization": "Bearer mock", "Content-Type": "application/json"}
SAID = b'{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"}}]}'
EVENT = b'data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
# As many fields as providers behind a content network send.
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + b"".join(
    b"X-Field-%d: a value\r\n" % n for n in range(16)
)

WORKERS, REQUESTS = 32, 16_000
STREAMS, EVENTS, GAP = 100, 100, 0.02  # seconds between events
BURST = 20_000  # events without a pause


class Mock(asyncio.Protocol):
    """Answers by the path: /json, /paced, /burst."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.left = 0

    def data_received(self, data: bytes) -> None:
        path = data.split(b" ", 2)[1]
        if path == b"/json":
            self.transport.write(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(SAID), SAID))
            return
        self.transport.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        if path == b"/burst":
            self.transport.write(CHUNK * BURST + b"0\r\n\r\n")
        else:
            self.left = EVENTS
            self.tick()

    def tick(self) -> None:
        if self.transport.is_closing():
            return
        if self.left == 0:
            self.transport.write(b"0\r\n\r\n")
            return
        self.left -= 1
        self.transport.write(CHUNK)
        asyncio.get_running_loop().call_later(GAP, self.tick)


def mock(pipe: Pipe) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


class Sender(Protocol):
    def send(self, outgoing: Outgoing, *, connect: float) -> AbstractAsyncContextManager[Answer]: ...

    async def close(self) -> None: ...


class Answer(Protocol):
    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def read(self, limit: int) -> bytes: ...


class AiohttpAnswer:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.response.content.iter_any()

    async def read(self, limit: int) -> bytes:
        return (await self.response.read())[:limit]


class AiohttpClient:
    """aiohttp behind the seam of llmproxy.client, tuned as a gateway would."""

    def __init__(self) -> None:
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    @asynccontextmanager
    async def send(self, outgoing: Outgoing, *, connect: float) -> AsyncIterator[AiohttpAnswer]:
        timeout = aiohttp.ClientTimeout(total=None, connect=connect)
        asking = self.session.request(
            outgoing.method,
            outgoing.url,
            data=outgoing.body,
            headers=outgoing.headers,
            allow_redirects=False,
            timeout=timeout,
        )
        async with asking as response:
            yield AiohttpAnswer(response)

    async def close(self) -> None:
        await self.session.close()


async def read(sender: Sender, url: str) -> None:
    async with sender.send(Outgoing(url, ASKED, FIELDS), connect=5) as incoming:
        assert await incoming.read(1 << 20) == SAID


async def follow(sender: Sender, url: str) -> None:
    size = 0
    async with sender.send(Outgoing(url, ASKED, FIELDS), connect=5) as incoming:
        async for piece in incoming:
            size += len(piece)
    assert size % len(EVENT) == 0


async def many(count: int, work: Callable[[], Awaitable[None]], times: int = 1) -> None:
    async def worker() -> None:
        for _ in range(times):
            await work()

    await asyncio.gather(*(worker() for _ in range(count)))


async def cost(work: Awaitable[None], units: int) -> float:
    """Microseconds of CPU for each unit."""
    before = time.process_time()
    await work
    return (time.process_time() - before) / units * 1e6


async def measure(make: Callable[[], Sender], at: str) -> tuple[float, float, float]:
    sender = make()
    await many(STREAMS, lambda: read(sender, f"{at}/json"), 10)
    json = await cost(many(WORKERS, lambda: read(sender, f"{at}/json"), REQUESTS // WORKERS), REQUESTS)
    paced = await cost(many(STREAMS, lambda: follow(sender, f"{at}/paced")), STREAMS * EVENTS)
    burst = await cost(many(10, lambda: follow(sender, f"{at}/burst")), 10 * BURST)
    await sender.close()
    return json, paced, burst


def main() -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=mock, args=(theirs,), daemon=True)
    process.start()
    at = f"http://127.0.0.1:{ours.recv()}"
    print("us of CPU per            JSON request   paced event   burst event")
    for loop, run in (("uvloop", uvloop.run), ("asyncio", asyncio.run)):
        for make in (Client, AiohttpClient, Client, AiohttpClient):
            json, paced, burst = run(measure(make, at))
            print(f"{loop:10}{make.__name__:14}{json:12.1f}{paced:14.1f}{burst:14.2f}", flush=True)
    process.terminate()


if __name__ == "__main__":
    main()
