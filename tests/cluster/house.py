"""Several replicas in the test's own loop, that know each other as workers do (Unix sockets) or as machines do (HTTP)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import orjson
from aiohttp import ClientResponse, ClientSession, web

from llmproxy.cluster.discovery import Machines
from llmproxy.cluster.identity import Identity
from llmproxy.cluster.peers import Peers
from llmproxy.cluster.place import Place
from llmproxy.config import Cluster, Config, Key, Provider, Server, Storage
from llmproxy.requests.registry import RequestRegistry
from llmproxy.routing.gateway import Gateway
from llmproxy.server.app import build
from llmproxy.server.context import OBSERVER, PEERS, REGISTRY
from llmproxy.server.process.cluster import joined
from llmproxy.store import Store
from llmproxy.testing import Behaviour, Exchange, FakeProvider, chunk, sse
from tests.cluster.ports import free_port
from tests.waiting import soon

Transport = Literal["workers", "machines"]
SECRET = "a secret that only the replicas know"
CLIENT, OTHER, OPERATOR = (
    Key("client", "key-of-client"),
    Key("other", "key-of-other"),
    Key("operator", "key-of-operator", admin=True),
)


@dataclass
class Replica:
    """One of them. `call` asks as the client, unless another key is given."""

    url: str
    app: web.Application
    runner: web.AppRunner
    client: ClientSession
    store: Store

    @property
    def registry(self) -> RequestRegistry:
        return self.app[REGISTRY]

    @property
    def peers(self) -> Peers:
        peers = self.app[PEERS]
        assert peers is not None
        return peers

    async def open(
        self, method: str, path: str, body: Any = None, *, key: Key = CLIENT, headers: Mapping[str, str] | None = None
    ) -> ClientResponse:
        sent = {"Authorization": f"Bearer {key.secret}", **(headers or {})}
        return await self.client.request(method, self.url + path, json=body, headers=sent)

    async def call(
        self, method: str, path: str, body: Any = None, *, key: Key = CLIENT, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        async with await self.open(method, path, body, key=key, headers=headers) as response:
            raw = await response.read()
            return response.status, orjson.loads(raw) if response.content_type == "application/json" and raw else raw

    async def kill(self) -> None:
        """Ends at once, as far as anybody outside sees: nobody listens, every connection is cut, nothing is told."""
        self.app[OBSERVER].store = None  # no record of what it ran is written any more
        for site in list(self.runner.sites):
            await site.stop()
        assert self.runner.server is not None
        for connection in list(self.runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()


@dataclass
class House:
    """The replicas, and the provider behind all of them, whose answers begin and never end unless they are asked for `whole`."""

    replicas: list[Replica]
    provider: FakeProvider
    transport: Transport

    async def exchange(self) -> Exchange:
        return await self.provider.received()


def answer(exchange: Exchange) -> Behaviour | None:
    if exchange.method != "POST":
        return None
    hello = sse(chunk({"content": "Hello"}), done=False)
    headers = {"content-type": "text/event-stream"}
    if exchange.json["model"] == "whole":
        return Behaviour([hello, sse(chunk({}, finish="stop"))], headers=headers)
    return Behaviour([hello], headers=headers, ending="hang")


@asynccontextmanager
async def running(
    transport: Transport, folder: Path, count: int = 3, members: Mapping[str, Any] | None = None
) -> AsyncIterator[House]:
    """Replicas that share a store in the folder, and have found each other."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(FakeProvider(route=answer))
        ports = [free_port() for _ in range(count)]
        replicas = [
            await stack.enter_async_context(replica(transport, folder, number, ports, provider, members or {}))
            for number in range(count)
        ]
        if transport == "machines":
            await soon(lambda: all_found(replicas))
        yield House(replicas, provider, transport)


async def all_found(replicas: list[Replica]) -> bool:
    found = [one.peers.machines for one in replicas]
    return all(one is not None and [peer.state for peer in one.peers] == ["up"] * (len(replicas) - 1) for one in found)


@asynccontextmanager
async def replica(
    transport: Transport,
    folder: Path,
    number: int,
    ports: list[int],
    provider: FakeProvider,
    members: Mapping[str, Any],
) -> AsyncIterator[Replica]:
    """The one with this number. It can be started again in the place of one that was killed."""
    fake = Provider(
        "fake", "compatible", f"{provider.url}/v1", "sk", models=("m", "whole"), list_models=False, retries=0
    )
    config = Config(server=Server(keys=(CLIENT, OTHER, OPERATOR)), providers=(fake,), storage=Storage(str(folder)))
    config = replace(config, **members)
    peers, place = _peers(transport, folder, number, ports, config)
    gateway = Gateway.build(config)
    gateway.catalog.first.set()
    async with Store(folder) as store, ClientSession() as client:
        app = build(config, gateway, cache(lambda: store), peers)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", ports[number]).start()
        if place is not None:
            place.address.unlink(missing_ok=True)
            await web.UnixSite(runner, str(place.address)).start()
        made = Replica(f"http://127.0.0.1:{ports[number]}", app, runner, client, store)
        try:
            async with joined(app):
                yield made
        finally:
            app[REGISTRY].stop_all("drain")
            await app[REGISTRY].idle()
            await runner.cleanup()
            await gateway.close()
            with suppress(Exception):
                await peers.close()


def _peers(
    transport: Transport, folder: Path, number: int, ports: list[int], config: Config
) -> tuple[Peers, Place | None]:
    if transport == "workers":
        place = Place(number, len(ports), folder, SECRET, -1, "5ea1ed" * 5)
        return Peers(Identity.fresh("house", place.instance, number, len(ports)), place), place
    cluster = Cluster(tuple(f"http://127.0.0.1:{port}" for port in ports), secret=SECRET)
    cluster = replace(cluster, name=config.cluster.name or f"replica-{number}")
    own = Identity.fresh(cluster.name)
    return Peers(own, None, Machines(cluster, own)), None


async def asked(replica: Replica, path: str = "/chat/stream", *, id: str | None = None, **body: Any) -> ClientResponse:
    """A stream that has begun: its first event with a token has come."""
    headers = {"X-Request-ID": id} if id else {}
    given = {"message": "Hi", "model": "m"} if path == "/chat/stream" else {"content": "Hi", "model": "m"}
    response = await replica.open("POST", path, {**given, **body}, headers=headers)
    assert response.status == 200, await response.read()
    async with asyncio.timeout(20):
        while b"event: token" not in await response.content.readline():
            pass
    return response
