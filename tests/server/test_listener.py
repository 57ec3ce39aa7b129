"""The listener: accepts all that wait, makes room for newcomers, and survives the end of file descriptors."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from llmproxy.config import Server
from llmproxy.server.process import listener as module
from llmproxy.server.process.listener import Connection, Listener
from tests.observe.test_periodic import LOOPS


@pytest.fixture(params=LOOPS, ids=lambda make: make.__module__.partition(".")[0])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    def runs(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(main)

    return runs


async def handler(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="ok")


def listening(handler: Any = handler, **limits: Any) -> tuple[Listener, socket.socket]:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    made = Listener(web.Server(handler), Server(**limits), 30.0)
    made.open(sock)
    return made, sock


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def connected(port: int, count: int) -> list[socket.socket]:
    """Connections that the system has made and nobody has accepted yet."""
    made = []
    for _ in range(count):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", port))
        made.append(one)
    return made


def test_a_hundred_that_wait_are_accepted_in_few_turns_of_the_loop(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    async def main() -> None:
        one, sock = listening()
        clients = await connected(sock.getsockname()[1], 100)
        await turns(8)
        assert len(one.inside) == 100
        one.close()
        for client in clients:
            client.close()

    run(main())


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return await reader.readuntil(b"ok")


async def test_a_newcomer_takes_the_place_of_the_connection_that_is_idle_longest() -> None:
    one, sock = listening(max_connections=10)
    port = sock.getsockname()[1]
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
    for stream in streams:
        await asked(*stream)
    await asked(*streams[0])  # the first one is used again: the second is idle longest
    fresh = await asyncio.open_connection("127.0.0.1", port)
    assert b"ok" in await asked(*fresh)
    assert await streams[1][0].read() == b""
    assert b"ok" in await asked(*streams[0])
    assert len(one.inside) == 10
    one.close()
    for _, writer in (*streams, fresh):
        writer.close()


async def test_where_file_descriptors_run_out_it_goes_on_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(module, "log", SimpleNamespace(error=lambda event, **_: told.append(event)))
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    one, sock = listening()

    class Exhausted:
        def accept(self) -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

        def fileno(self) -> int:
            return sock.fileno()

    one._accept(Exhausted())  # type: ignore[arg-type]
    assert told == ["accept_failed"]
    stream = await asyncio.open_connection("127.0.0.1", sock.getsockname()[1])
    async with asyncio.timeout(5):
        assert b"ok" in await asked(*stream)
    one.close()
    stream[1].close()


def test_one_look_at_all_connections_closes_those_without_a_request_and_no_busy_one(
    run: Callable[[Coroutine[Any, Any, None]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_EVERY", 0.01)
    monkeypatch.setattr(module, "_IDLE", 0.0)

    async def main() -> None:
        looked, looks = asyncio.Event(), 0

        def is_late(self: Connection, *since: float) -> bool:
            nonlocal looks
            late = was_late(self, *since)
            if self.busy:
                looks += 1
                assert not late
                if looks == 3:
                    looked.set()
            return late

        async def slow(request: web.BaseRequest) -> web.StreamResponse:
            await looked.wait()
            return web.Response(text="ok")

        was_late = Connection.is_late
        monkeypatch.setattr(Connection, "is_late", is_late)
        made, sock = listening(slow, header_timeout=60.0)
        with made.watched():
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: there\r\n\r\n")
            async with asyncio.timeout(20):
                heard = await reader.read()  # to its end: the gateway closed it
            assert heard.startswith(b"HTTP/1.1 200")
            writer.close()
        made.close()

    run(main())
