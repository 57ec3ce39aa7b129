"""A gateway that hands bytes on without looking: the checks pass what it cannot spoil, and name what it lets through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from llmproxy.testing.conformance import Result, run
from tests.gateway import free_port

GOOD = ("a streamed answer: every event and member", "a whole answer: every member", "text, then two calls")
SPOILED = {
    "an empty stream": "a clean end",
    "a stream that ends without its end": "a clean end",
    "a stream that ends inside an event": "a clean end",
    "a stream that ends inside a call": "a clean end",
    "its error event": "no error event",
    "a 429 keeps Retry-After": "status 200",
    "an overload": "status 200",
}


@asynccontextmanager
async def blind(upstream: str) -> AsyncIterator[str]:
    """Status 200 and whatever came, whole or not."""

    async def hand_on(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        given = b""
        async with aiohttp.ClientSession() as client, client.post(upstream + request.path, data=body) as answer:
            try:
                async for piece in answer.content.iter_any():
                    given += piece
            except aiohttp.ClientError:
                pass
            return web.Response(body=given, headers={"content-type": answer.headers["content-type"]})

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/{path:.*}", hand_on)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def found(api: str) -> dict[str, Result]:
    port = free_port()
    async with blind(f"http://127.0.0.1:{port}") as url:
        results = []
        for name in (*GOOD, *SPOILED):
            results += await run(url, port, "fake-model", only=f"{api}: {name}", apis=[api], provider_apis=[api])
    return {one.name: one for one in results}


@pytest.mark.parametrize("api", ["messages", "responses"])
def test_what_it_spoils_is_named_and_nothing_else(api: str) -> None:
    results = asyncio.run(found(api))
    assert {name: results[name].seen for name in GOOD if not results[name].passed} == {}
    for name, complaint in SPOILED.items():
        assert not results[name].passed, name
        assert complaint in results[name].seen, (name, results[name].seen)
