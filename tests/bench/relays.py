"""The floors of our kind: a bare aiohttp server, and byte relays in aiohttp's server over two upstream clients."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from .frames import answer
from .loop import run

LARGEST = 64 * 1024 * 1024
CARRIED = {"Content-Type": "application/json", "Authorization": "Bearer x"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, content type, and the body's pieces as they come."""

    status: int
    content_type: str
    pieces: AsyncIterator[bytes]


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Send = Callable[[str, bytes], AbstractAsyncContextManager[Answer]]


@asynccontextmanager
async def bare(upstream: str) -> AsyncIterator[web.Application]:
    """A server that asks nobody: what aiohttp alone costs."""

    body = answer(0)

    async def reply(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body, content_type="application/json")

    yield _application(reply)


@asynccontextmanager
async def over_aiohttp(upstream: str) -> AsyncIterator[web.Application]:
    """aiohttp's server over aiohttp's client, tuned: no limits, no time-outs, no decoding."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:

        @asynccontextmanager
        async def send(path: str, body: bytes) -> AsyncIterator[Answer]:
            async with session.post(upstream + path, data=body, headers=CARRIED) as reply:
                yield Answer(reply.status, reply.headers.get("Content-Type", ""), reply.content.iter_any())

        yield _application(_relay(send))


@asynccontextmanager
async def over_lean(upstream: str) -> AsyncIterator[web.Application]:
    """aiohttp's server over llmproxy's own upstream client: what a gateway with that client can cost at least."""
    from llmproxy.core.adapter import Outgoing
    from llmproxy.upstream.http import Client

    client = Client()

    @asynccontextmanager
    async def send(path: str, body: bytes) -> AsyncIterator[Answer]:
        async with client.send(Outgoing(upstream + path, body, CARRIED), connect=5.0) as reply:
            yield Answer(reply.status, reply.headers.get("content-type", ""), aiter(reply))

    try:
        yield _application(_relay(send))
    finally:
        await client.close()


def _relay(send: Send) -> Handler:
    async def relay(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        async with send(request.path, body) as reply:
            response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
            await response.prepare(request)
            async for piece in reply.pieces:
                await response.write(piece)
            return response

    return relay


def _application(handler: Handler) -> web.Application:
    application = web.Application(client_max_size=LARGEST)
    application.router.add_post("/{path:.*}", handler)
    return application


KINDS = {"bare": bare, "aiohttp": over_aiohttp, "lean": over_lean}


async def serve(kind: str, port: int, upstream: str) -> None:
    """Serves on loopback until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, ended.set)
    async with KINDS[kind](upstream) as application:
        runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
            await ended.wait()
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    arguments = parser.parse_args()
    run(serve(arguments.kind, arguments.port, arguments.upstream))
