"""A loop whose clock jumps: hours pass in no time, between a server and its clients too."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest
from aiohttp import web

from llmproxy.core.adapter import Outgoing
from llmproxy.core.errors import Unreachable
from llmproxy.testing.jumping_clock import run
from llmproxy.upstream.http import Client


async def slow(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(3):
        await asyncio.sleep(3600)
        await response.write(b"%d" % number)
    return response


async def serving() -> web.AppRunner:
    app = web.Application()
    app.router.add_route("*", "/", slow)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 80).start()
    return runner


def test_hours_pass_at_once() -> None:
    began = time.monotonic()

    async def story() -> float:
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.sleep(3600)
        async with asyncio.timeout(60):
            await asyncio.sleep(59)
        return loop.time() - before

    assert run(story()) == pytest.approx(3659)
    assert time.monotonic() - began < 60


def test_a_server_and_aiohttps_client_share_the_clock() -> None:
    async def story() -> tuple[bytes, float]:
        runner = await serving()
        loop = asyncio.get_running_loop()
        before = loop.time()
        timeout = aiohttp.ClientTimeout()
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get("http://127.0.0.1/") as response:
            body = await response.read()
        await runner.cleanup()
        return body, loop.time() - before

    body, seconds = run(story())
    assert body == b"012"
    assert seconds >= 3 * 3600


def test_a_server_and_our_own_client_share_the_clock() -> None:
    async def story() -> tuple[list[bytes], float]:
        runner = await serving()
        loop, client = asyncio.get_running_loop(), Client()
        before = loop.time()
        async with client.send(Outgoing("http://127.0.0.1:80/", b"{}"), connect=1, sent=lambda _: None) as answer:
            pieces = [piece async for piece in answer]
        lasted = loop.time() - before
        await client.close()
        await runner.cleanup()
        return pieces, lasted

    pieces, seconds = run(story())
    assert b"".join(pieces) == b"012"
    assert 3 * 3600 <= seconds < 4 * 3600


def test_where_nobody_listens_the_connection_is_refused() -> None:
    async def story() -> None:
        client = Client()
        async with client.send(Outgoing("http://127.0.0.1:81/", b"{}"), connect=1, sent=lambda _: None):
            pass

    with pytest.raises(Unreachable):
        run(story())


def test_what_would_wait_for_ever_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no timer will wake it"):
        run(asyncio.Event().wait())
