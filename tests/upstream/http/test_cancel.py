"""Whoever leaves closes the socket at once, at any stage, and leaves nothing for the next one."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmproxy.core.adapter import Outgoing
from llmproxy.core.errors import Unreachable
from llmproxy.upstream.http import Client
from tests.upstream.http.conftest import Serve
from tests.upstream.http.scripted import CHUNKED, LAST, Peer, Provider, Talk, answer, chunk

LARGE = b"a" * 64_000_000


def ask(provider: Provider, path: str, body: bytes = b"{}") -> Outgoing:
    return Outgoing(provider.url + path, body)


async def read(client: Client, outgoing: Outgoing) -> bytes:
    async with client.send(outgoing, connect=5) as incoming:
        return await incoming.read(1 << 20)


def stalling(*said: bytes) -> Talk:
    """Answers `/good`. To anything else says this much, waits until the client has gone, and tells the test."""

    async def talk(peer: Peer) -> None:
        while b"/good" in await peer.head():
            await peer.reader.readexactly(2)
            await peer.say(answer(b"good"))
        await peer.say(*said)
        peer.provider.events.put_nowait("stalled")
        await peer.gone()
        peer.provider.events.put_nowait("gone")

    return talk


STAGES: dict[str, tuple[bytes, bytes]] = {  # the request's body, and what the provider says before it stalls
    "uploading": (LARGE, b""),
    "waiting": (b"{}", b""),
    "interim": (b"{}", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "head": (b"{}", b"HTTP/1.1 200 OK\r\nContent-Le"),
    "begun": (b"{}", CHUNKED),
    "chunk": (b"{}", CHUNKED + b"10\r\nevil"),
    "between chunks": (b"{}", CHUNKED + chunk(b"evil")),
    "length": (b"{}", answer(b"evil")[:-1]),
}


@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("stage", STAGES)
async def test_a_cancelled_request_closes_its_connection_and_poisons_none(
    serve: Serve, client: Client, stage: str, reused: bool
) -> None:
    body, said = STAGES[stage]
    provider = await serve(stalling(said))
    if reused:
        await read(client, ask(provider, "/good"))
    task = asyncio.ensure_future(read(client, ask(provider, "/bad", body)))
    assert await provider.events.get() == "stalled"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await provider.events.get() == "gone"
    assert await read(client, ask(provider, "/good")) == b"good"
    assert len(provider.peers) == 2


@pytest.mark.parametrize("stage", ["begun", "chunk", "between chunks", "length"])
async def test_leaving_by_an_exception_closes_the_connection(serve: Serve, client: Client, stage: str) -> None:
    provider = await serve(stalling(STAGES[stage][1]))
    with pytest.raises(ZeroDivisionError):
        async with client.send(ask(provider, "/bad"), connect=5):
            raise ZeroDivisionError
    assert await provider.events.get() == "stalled"
    assert await provider.events.get() == "gone"


async def test_a_failure_after_the_whole_answer_does_not_keep_the_connection(serve: Serve, client: Client) -> None:
    provider = await serve(stalling())

    async def fail() -> None:
        async with client.send(ask(provider, "/good"), connect=5) as incoming:
            await incoming.read(100)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await read(client, ask(provider, "/good"))
    assert len(provider.peers) == 2


async def test_a_hundred_mixed_cancels_leave_no_socket_and_no_task(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(CHUNKED)
            await peer.say(chunk(b"a"))
            await peer.say(LAST)

    provider = await serve(talk)
    before = asyncio.all_tasks()
    for turns in range(100):
        task = asyncio.ensure_future(read(client, ask(provider, "/")))
        for _ in range(turns % 20):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await read(client, ask(provider, "/")) == b"a"
    await client.close()
    for peer in provider.peers:
        await peer.ended.wait()
    assert asyncio.all_tasks() == before


@contextmanager
def deaf() -> Iterator[int]:
    """A port whose queue is full: connecting to it takes for ever."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for sock in (first, second):
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def sockets() -> int:
    """How many this process has open."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("needs /proc")
    count = 0
    for entry in folder.iterdir():
        try:
            count += os.readlink(entry).startswith("socket:")
        except FileNotFoundError:  # the folder's own
            continue
    return count


async def test_connecting_has_its_time(client: Client) -> None:
    with deaf() as port:
        before = sockets()
        with pytest.raises(Unreachable) as caught:
            async with client.send(Outgoing(f"http://127.0.0.1:{port}/"), connect=0.05):
                pass
        assert caught.value.code == "upstream_unreachable"
        assert caught.value.retry_here
        await asyncio.sleep(0)
        assert sockets() == before


async def test_a_cancel_while_connecting_closes_the_socket(client: Client) -> None:
    with deaf() as port:
        before = sockets()
        task = asyncio.ensure_future(read(client, Outgoing(f"http://127.0.0.1:{port}/")))
        while sockets() == before:  # noqa: ASYNC110  # nobody could set an event
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert sockets() == before


async def test_a_cancel_while_resolving_opens_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    async def start_connection(*_: object, **__: object) -> None:
        opened.append(1)

    monkeypatch.setattr("llmproxy.upstream.http.dial.start_connection", start_connection)
    task = asyncio.ensure_future(read(client, Outgoing("http://name.invalid:1/")))
    await asyncio.sleep(0)  # it has asked for the address, which another thread looks up
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert opened == []


async def test_a_cancel_during_the_handshake_closes_the_socket(serve: Serve, client: Client) -> None:
    async def talk(peer: Peer) -> None:
        await peer.reader.read(1)  # of the client's hello
        provider.events.put_nowait("stalled")
        await peer.gone()
        provider.events.put_nowait("gone")

    provider = await serve(talk)
    task = asyncio.ensure_future(read(client, Outgoing(f"https://localhost:{provider.port}/")))
    assert await provider.events.get() == "stalled"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await provider.events.get() == "gone"
