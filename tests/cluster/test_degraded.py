"""What `[degraded]` says for each store that is gone: every cell of the table, its gauges, and that all comes back by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import pytest
from aiohttp import ClientResponse, ClientSession, web

from llmproxy.cluster.rates import Rates
from llmproxy.config import Budget, Cluster, Config, ConfigError, Degraded, Key, Provider, Server, Storage, load
from llmproxy.config.values import Cache
from llmproxy.routing.gateway import Gateway
from llmproxy.server.account_watch import followed
from llmproxy.server.app import build
from llmproxy.server.context import ACCOUNTS, CURRENT, REGISTRY, STORE
from llmproxy.server.opened_store import OpenedStores
from llmproxy.server.process.cluster import joined
from llmproxy.store import Store
from llmproxy.testing import FakeProvider
from tests import postgres
from tests.cluster.house import answer
from tests.cluster.redis_server import RedisServer, own_redis
from tests.cutting import Wire, wire
from tests.waiting import soon

DOLLAR = 10**12
FREE, LIMITED, RICH = (
    Key("free", "key-of-free"),
    Key("limited", "key-of-limited", rpm=4),
    Key("rich", "key-of-rich", budget=(Budget("total", DOLLAR),)),
)
BACK = 1.0  # seconds from a store's return until all is as before
BUSY = 5.0  # seconds by which a machine that runs other tests may be late


@dataclass
class Serving:
    url: str
    app: web.Application
    client: ClientSession

    @property
    def store(self) -> Store:
        return self.app[STORE]()

    async def open(self, key: Key, path: str, body: Any) -> ClientResponse:
        return await self.client.post(self.url + path, json=body, headers={"Authorization": f"Bearer {key.secret}"})

    async def ask(self, key: Key) -> tuple[int, str | None]:
        """Status and error code."""
        body = {"model": "whole", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        async with await self.open(key, "/v1/chat/completions", body) as response:
            raw = await response.read()
            return response.status, None if response.status == 200 else orjson.loads(raw)["error"]["code"]

    async def get(self, path: str) -> bytes:
        async with self.client.get(self.url + path, headers={"Authorization": f"Bearer {FREE.secret}"}) as response:
            return await response.read()

    async def gauge(self, store: str, consequence: str, mode: str) -> float:
        labels = f'consequence="{consequence}",mode="{mode}",store="{store}",worker="0"'
        return _value(await self.get("/metrics"), f"llmproxy_degraded{{{labels}}}")

    async def up(self, store: str) -> float:
        return _value(await self.get("/metrics"), f'llmproxy_store_up{{store="{store}",worker="0"}}')


def _value(told: bytes, name: str) -> float:
    (line,) = [one for one in told.decode().splitlines() if one.startswith(name)]
    return float(line.rpartition(" ")[2])


@asynccontextmanager
async def serving(degraded: Degraded, *, redis: str = "", url: str = "") -> AsyncIterator[Serving]:
    """A gateway as a process runs it, in the test's loop."""
    async with FakeProvider(route=answer) as provider, ClientSession() as client:
        fake = Provider(
            "fake", "compatible", f"{provider.url}/v1", "sk", models=("m", "whole"), list_models=False, retries=0
        )
        config = Config(
            server=Server(keys=(FREE, LIMITED, RICH)),
            providers=(fake,),
            storage=Storage(url=url) if url else Storage(enabled=False),
            cluster=Cluster(redis=redis),
            degraded=degraded,
            cache=Cache(store="disk") if url else Cache(),
            prices={"fake/*": {"input": 1.0, "output": 1.0}},
        )
        gateway = Gateway.build(config)
        gateway.catalog.first.set()
        stores = OpenedStores(lambda: app[CURRENT].config)
        app = build(config, gateway, stores)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]  # asyncio's server
        try:
            async with followed(app), joined(app):
                yield Serving(f"http://127.0.0.1:{port}", app, client)
        finally:
            app[REGISTRY].stop_all("drain")
            await app[REGISTRY].idle()
            await runner.cleanup()
            await gateway.close()
            await stores.close()


async def comes_back(served: Serving, store: str, consequence: str, mode: str, since: float) -> None:
    """By itself: nobody asks anything of the gateway but its metrics."""

    async def is_back() -> bool:
        return await served.up(store) == 1 and await served.gauge(store, consequence, mode) == 0

    await soon(is_back)
    assert time.monotonic() - since < BACK + BUSY


# Limits, without Redis


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with own_redis() as server:
        yield server


RATES: dict[str, list[tuple[int, str | None]]] = {
    "share": [(200, None)] * 2 + [(429, "rate_limit_exceeded")] * 4,
    "allow": [(200, None)] * 6,
    "refuse": [(503, "limits_unavailable")] * 6,
}


@pytest.mark.parametrize("trouble", ["killed", "hanging"])
@pytest.mark.parametrize("mode", RATES)
async def test_limits_without_redis(
    mode: Literal["share", "allow", "refuse"], trouble: str, redis: RedisServer
) -> None:
    async with serving(Degraded(rates=mode), redis=redis.url) as served:
        served.app[ACCOUNTS].share_with(1)  # two processes share four requests a minute
        await soon(lambda: _is_one(served.up("redis")))
        assert await served.gauge("redis", "rates", mode) == 0

        redis.kill() if trouble == "killed" else redis.hang()
        await soon(lambda: _is_away(served))
        assert [await served.ask(LIMITED) for _ in range(6)] == RATES[mode]
        assert await served.ask(FREE) == (200, None)
        assert (await served.up("redis"), await served.gauge("redis", "rates", mode)) == (0, 1)

        since = time.monotonic()
        redis.again() if trouble == "killed" else redis.go_on()
        await comes_back(served, "redis", "rates", mode, since)
        patient(served)
        assert [await served.ask(LIMITED) for _ in range(5)] == [(200, None)] * 4 + [(429, "rate_limit_exceeded")]


def patient(served: Serving) -> None:
    """A machine that runs other tests may need longer for a count than a request waits for it."""
    together = served.app[ACCOUNTS].together
    assert isinstance(together, Rates)
    together._wait = 10.0


async def _is_one(value: Any) -> bool:
    return bool(await value == 1)


async def _is_away(served: Serving) -> bool:
    """A hanging server is noticed by who asks it."""
    if (together := served.app[ACCOUNTS].together) is not None and together.is_there:
        await together.take([])
    return together is not None and not together.is_there


# Budgets and threads, without the database


@pytest.fixture
def cable(postgres_url: str) -> Iterator[Wire]:
    with wire(postgres_url) as made:
        yield made


async def gone(served: Serving, cable: Wire) -> None:
    """Cut off, and noticed by the beat of every second."""
    cable.cut()

    async def noticed() -> bool:
        return bool(served.store.fault)

    await soon(noticed)


def bill(url: str) -> tuple[int, int, int]:
    """Requests of the key with a budget that were answered, what they cost, and what was taken out of the budget."""
    rows = "FROM ledger WHERE owner = 'rich' AND state = 'completed'"
    taken = "SELECT coalesce(sum(spent_e12), 0)::bigint FROM spend"
    [told] = postgres.execute(url, f"SELECT count(*), coalesce(sum(cost_e12), 0)::bigint, ({taken}) {rows}")
    return int(told[0]), int(told[1]), int(told[2])


BUDGETS: dict[str, tuple[tuple[int, str | None], tuple[int, str | None]]] = {
    "leases": ((200, None), (503, "budget_unavailable")),  # as long as the lease may be used; afterwards
    "allow": ((200, None), (200, None)),
    "refuse": ((503, "budget_unavailable"), (503, "budget_unavailable")),
}


@pytest.mark.parametrize("mode", BUDGETS)
async def test_budgets_without_the_database(
    mode: Literal["leases", "allow", "refuse"], cable: Wire, postgres_url: str
) -> None:
    async with serving(Degraded(budgets=mode), url=cable.url) as served:
        assert await served.ask(RICH) == (200, None)
        assert (await served.up("database"), await served.gauge("database", "budgets", mode)) == (1, 0)

        await gone(served, cable)
        within, afterwards = BUDGETS[mode]
        assert await served.ask(RICH) == within
        served.store.lives_until = 0.0  # as ten seconds later: others may take this replica for dead
        assert await served.ask(RICH) == afterwards
        assert await served.ask(FREE) == (200, None)
        assert (await served.up("database"), await served.gauge("database", "budgets", mode)) == (0, 1)
        assert await served.gauge("database", "cache", "miss") == 1

        since = time.monotonic()
        cable.mend()
        await comes_back(served, "database", "budgets", mode, since)

        async def is_leased() -> bool:
            return time.monotonic() < served.store.lives_until

        await soon(is_leased)
        assert time.monotonic() - since < BACK + BUSY
        assert await served.ask(RICH) == (200, None)
        paid = [within, afterwards].count((200, None)) + 2

        async def counted() -> bool:
            rows, cost, taken = await asyncio.to_thread(bill, postgres_url)
            return bool(rows == paid and taken == cost > 0)

        await soon(counted)


@pytest.mark.parametrize(("mode", "state"), [("memory", "stopped"), ("refuse", "lost")])
async def test_a_finished_answer_of_a_thread_without_the_database(
    mode: Literal["memory", "refuse"], state: str, cable: Wire, postgres_url: str
) -> None:
    async with serving(Degraded(threads=mode), url=cable.url) as served:
        async with await served.open(FREE, "/threads", {}) as made:
            path = f"/threads/{(await made.json())['id']}/messages"
        stream = await served.open(FREE, f"{path}/stream", {"content": "Hi", "model": "m"})
        begun = await stream.content.readuntil(b"event: token")
        assert begun

        await gone(served, cable)
        (running,) = served.app[REGISTRY]
        running.stop("api")
        assert b"storage_unavailable" in await stream.read()
        async with await served.open(FREE, f"{path}/stream", {"content": "Hi", "model": "m"}) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (503, "storage_unavailable")
        assert await served.gauge("database", "threads", mode) == 1

        since = time.monotonic()
        cable.mend()
        await comes_back(served, "database", "threads", mode, since)

        async def ended() -> bool:
            last = orjson.loads(await served.get(path))["messages"][-1]
            return bool(last["state"] == state)

        await soon(ended)


async def test_a_running_stream_is_stopped_whatever_is_refused(cable: Wire) -> None:
    async with serving(Degraded("refuse", "refuse", "refuse"), url=cable.url) as served:
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        stream = await served.open(RICH, "/v1/chat/completions", body)
        await gone(served, cable)
        (running,) = served.app[REGISTRY]
        async with await served.open(RICH, f"/v1/requests/{running.id}/cancel", None) as response:
            assert (response.status, (await response.json())["state"]) == (200, "cancelled")
        async with asyncio.timeout(20):
            await stream.read()


def test_what_is_no_cell_of_the_table_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "llmproxy.toml"
    path.write_text('[degraded]\nrates = "leases"\n')
    with pytest.raises(ConfigError, match="not one of share, allow, refuse"):
        load(path, {"HOME": "/nowhere"})
    path.write_text('[degraded]\nrates = "allow"\nbudgets = "refuse"\n')
    assert load(path, {"HOME": "/nowhere"}).degraded == Degraded("allow", "refuse", "memory")
