"""On a busy event loop a key's requests are read by turns: a flood that is not read yet delays nobody."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiohttp import web

from llmproxy.config import Config, Key, Provider, Server
from llmproxy.core.errors import GatewayError
from llmproxy.routing.gateway import Gateway
from llmproxy.server.app import build
from llmproxy.server.context import OBSERVER, TURNS
from llmproxy.server.middleware.gate import Gate
from llmproxy.server.middleware.load_shedding import SHARE, WAITED, overloaded
from llmproxy.server.middleware.routes import Front
from llmproxy.server.middleware.turns import AT_ONCE, REFUSED, Turns
from llmproxy.server.middleware.unread import Unread
from llmproxy.server.process.listener import Listener
from llmproxy.store import Store
from llmproxy.testing import Behaviour, FakeProvider, completion
from tests.accounts.house import ANN, BOB
from tests.waiting import soon

BODY = json.dumps({"model": "near/m", "messages": [{"role": "user", "content": "Hello"}]}).encode()
TWO = (Key("ann", ANN), Key("bob", BOB))


def request(key: str = ANN, *, path: str = "/v1/chat/completions", body: bytes = BODY, more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n{more}"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Waits:
    """A request that is not read yet."""

    owner: str
    told: list[Waits]
    refusal: GatewayError | None = None

    def done(self) -> bool:
        return self in self.told

    def set_result(self, result: None, /) -> None:
        self.told.append(self)

    def set_exception(self, exception: GatewayError, /) -> None:
        self.refusal = exception
        self.told.append(self)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


async def iterations(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_beside_a_flood_another_keys_request_is_read_in_the_same_iteration() -> None:
    turns, told = Turns(), list[Waits]()
    for _ in range(900):
        turns.hold("flood", Waits("flood", told), 0.0, 900)
    await asyncio.sleep(0)
    turns.hold("quiet", Waits("quiet", told), 0.0, 900)
    await asyncio.sleep(0)
    assert [one.owner for one in told].index("quiet") <= 2 * AT_ONCE


async def test_of_too_many_waiting_requests_the_newest_of_the_key_with_most_is_refused() -> None:
    turns, told = Turns(), list[Waits]()
    for owner in ("flood", "flood", "flood", "quiet"):
        turns.hold(owner, Waits(owner, told), 0.0, 3)
    await iterations(50)
    assert [one.owner for one in told if one.refusal is not None] == ["flood"]


async def test_few_are_refused_in_one_iteration() -> None:
    turns, told = Turns(), list[Waits]()
    for _ in range(40):
        turns.hold("flood", Waits("flood", told), 0.0, 10)
    await asyncio.sleep(0)
    assert sum(one.refusal is not None for one in told) == REFUSED
    await iterations(50)
    assert sum(one.refusal is not None for one in told) == 30


class There:
    """A gateway in this loop, whose event loop seems to be busy, and where no turn comes by itself."""

    def __init__(self, port: int, app: web.Application) -> None:
        self._port = port
        self.turns = app[TURNS]
        self.refusals = app[OBSERVER].refusals
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        return reader, writer

    async def ask(self, data: bytes) -> asyncio.StreamReader:
        reader, writer = await self.connect()
        writer.write(data)
        return reader

    async def held(self, count: int) -> None:
        async def look() -> bool:
            return len(self.turns) == count

        await soon(look)

    def refuse(self, text: str) -> None:
        for one in self.turns._waiting.since_before(float("inf")):
            one.set_exception(overloaded(text))

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], dict[str, object]]:
    """Status, headers and body."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    return int(lines[0].split()[1]), headers, json.loads(await reader.readexactly(int(headers["Content-Length"])))


@asynccontextmanager
async def gateway(
    monkeypatch: pytest.MonkeyPatch, *, keys: tuple[Key, ...] = TWO, **more: object
) -> AsyncIterator[There]:
    monkeypatch.setattr(Turns, "_arm", lambda _: None)
    async with (
        FakeProvider(route=lambda _: Behaviour([json.dumps(completion("Hi")).encode()])) as fake,
        Store(None) as store,
    ):
        near = Provider("near", "compatible", f"{fake.url}/v1", "x")
        config = Config(server=Server(keys=keys, **more), providers=(near,))  # type: ignore[arg-type]
        routed = Gateway.build(config)
        routed.catalog.first.set()
        app = build(config, routed, lambda: store)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        assert runner.server is not None
        runner.server.request_handler = Front(app, Gate(app)).handle
        listener = Listener(runner.server, config.server, 30.0, lingering_time=1)
        listener.unread = Unread(app)
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        listener.open(sock)
        there = There(sock.getsockname()[1], app)
        there.turns.busy = True
        try:
            yield there
        finally:
            there.close()
            listener.close()
            await runner.cleanup()
            await routed.close()


async def test_a_request_is_read_at_its_turn_and_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(monkeypatch) as there:
        reader = await there.ask(request())
        await there.held(1)
        assert there.turns.counts() == {"ann": 1}
        there.turns._turn()
        assert (await answer(reader))[0] == 200
        assert not there.turns.verdicts


async def test_a_body_in_pieces_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"model": "near/m", "messages": [{"role": "user", "content": "x" * 300_000}]}).encode()
    data = request(body=body)
    async with gateway(monkeypatch) as there:
        reader, writer = await there.connect()
        writer.write(data[:1000])
        await there.held(1)
        writer.write(data[1000:])
        await asyncio.sleep(0)
        there.turns._turn()
        assert (await answer(reader))[0] == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_a_request_that_is_refused_unread_gets_the_answer_of_the_gate(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    unread = await refused(monkeypatch, path)
    read = await refused(monkeypatch, path, trusted_proxies=("10.0.0.1",))  # the client's address is in another header
    assert unread == read


async def refused(monkeypatch: pytest.MonkeyPatch, path: str, **more: object) -> list[object]:
    """What is said and recorded of a refusal, without what differs each time."""
    async with gateway(monkeypatch, keys=TWO, **more) as there:
        reader = await there.ask(request(path=path, more="Connection: keep-alive\r\n"))
        await there.held(1)
        there.refuse(SHARE)
        status, headers, said = await answer(reader)
        (refusal,) = there.refusals.recent
        assert headers.pop("X-Request-ID") == refusal.id
        for name in ("Date", "request-id", "request_id"):
            headers.pop(name, None), said.pop(name, None)
        return [status, headers, said, refusal._replace(id="", at=0.0)]


async def test_after_a_refusal_the_connection_answers_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(monkeypatch) as there:
        reader, writer = await there.connect()
        writer.write(request())
        await there.held(1)
        there.refuse(WAITED)
        assert (await answer(reader))[0] == 503
        writer.write(request())
        await there.held(1)
        there.turns._turn()
        assert (await answer(reader))[0] == 200


async def test_a_client_that_leaves_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(monkeypatch) as there:
        _, writer = await there.connect()
        writer.write(request())
        await there.held(1)
        writer.transport.abort()
        await there.held(0)
        assert not there.turns.verdicts


async def test_the_end_of_the_process_refuses_what_is_not_read_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(monkeypatch) as there:
        reader = await there.ask(request())
        await there.held(1)
        there.turns.refuse_all()
        status, headers, said = await answer(reader)
        assert (status, headers["Connection"], said["error"]["code"]) == (503, "close", "server_shutting_down")  # type: ignore[index]


READ_AT_ONCE: dict[str, Callable[[], bytes]] = {
    "a wrong key": lambda: request("wrong"),
    "an ID by which it may be cancelled": lambda: request(more="X-Request-ID: mine-12345\r\n"),
    "a path that calls no model": lambda: request(path="/v1/requests/mine-12345/cancel"),
}


@pytest.mark.parametrize("name", READ_AT_ONCE)
async def test_it_is_read_at_once(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async with gateway(monkeypatch) as there:
        reader = await there.ask(READ_AT_ONCE[name]())
        assert (await answer(reader))[0] in (200, 401, 404)


@pytest.mark.parametrize("keys", [(), TWO[:1]], ids=["no key", "one key"])
async def test_where_nobody_else_may_ask_all_is_read_at_once(
    monkeypatch: pytest.MonkeyPatch, keys: tuple[Key, ...]
) -> None:
    async with gateway(monkeypatch, keys=keys) as there:
        assert (await answer(await there.ask(request())))[0] == 200
