"""Several gateways on one PostgreSQL: a budget holds over all of them, whichever of them dies, and while the database is away."""

from __future__ import annotations

import asyncio
import itertools
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from llmproxy.testing import FakeProvider
from tests import postgres
from tests.accounts.house import ANN, ASK, ROOT, written
from tests.accounts.test_budgets import EVE, STREAMED, TOKEN, budgeted, dollars, streamed
from tests.cutting import Wire, wire
from tests.gateway import Gateway, running_gateway
from tests.waiting import soon

PATIENCE = 60.0
MANY, FEW = 20_000, 3_000  # tokens of the budget


@dataclass(slots=True)
class Replicas:
    """Gateways on one database. `url` of it."""

    gateways: list[Gateway]
    client: aiohttp.ClientSession
    url: str
    provider: FakeProvider

    async def ask(self, gateway: Gateway, key: str = EVE, body: Any = STREAMED) -> tuple[int, str]:
        bearer = {"Authorization": f"Bearer {key}"}
        async with self.client.post(f"{gateway.base_url}/chat/completions", json=body, headers=bearer) as said:
            return said.status, (await said.read()).decode()

    async def get(self, gateway: Gateway, path: str) -> str:
        async with self.client.get(f"{gateway.url}{path}", headers={"Authorization": f"Bearer {ROOT}"}) as said:
            return (await said.read()).decode()

    def rows(self, query: str) -> list[Any]:
        return postgres.execute(self.url, query)


@asynccontextmanager
async def replicas(
    count: int, url: str, *, through: str = "", tokens: int = MANY, every: float = 0.01
) -> AsyncIterator[Replicas]:
    """through: the URL that the gateways are given, where that is another one."""
    config = budgeted(f"{dollars(tokens)}/total")
    async with FakeProvider(route=lambda _: streamed(40, every=every)) as provider, aiohttp.ClientSession() as client:
        with ExitStack() as stack:
            environment = {"LLMPROXY_STORAGE_URL": through or url}
            file = written(config, provider.port)
            gateways = [stack.enter_context(running_gateway(file, environment)) for _ in range(count)]
            yield Replicas(gateways, client, url, provider)


@asynccontextmanager
async def load(there: Replicas, clients: int) -> AsyncIterator[None]:
    """Clients that ask one gateway after the other, whatever they answer, for as long as the block lasts."""
    turns = itertools.cycle(there.gateways)

    async def client() -> None:
        while True:
            try:
                await there.ask(next(turns))
            except aiohttp.ClientError:
                await asyncio.sleep(0.01)

    tasks = [asyncio.ensure_future(client()) for _ in range(clients)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Watch:
    """Looks at what is spent and leased every 10 ms, beside the gateways."""

    def __init__(self, url: str, query: str) -> None:
        self.looks, self.most = 0, 0
        self._query = query
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        import psycopg

        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._over.wait(0.01):
                row = connection.execute(self._query).fetchone()
                self.looks, self.most = self.looks + 1, max(self.most, row[0] if row else 0)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def watched(url: str, query: str = "SELECT spent_e12 + leased_e12 FROM spend") -> Iterator[Watch]:
    watch = Watch(url, query)
    watch.start()
    try:
        yield watch
    finally:
        watch.end()


@pytest.mark.timeout(240)
async def test_a_replica_that_is_killed_under_load_leaves_lost_rows_and_no_lease(postgres_url: str) -> None:
    async with replicas(3, postgres_url) as there:
        with watched(postgres_url) as watch:
            async with load(there, clients=12):
                processes = await soon(lambda: _all_at_work(there), PATIENCE)
                there.gateways[0].process.send_signal(signal.SIGKILL)
                dead = await soon(lambda: _missing(there, processes), PATIENCE)
                assert there.rows(f"SELECT * FROM leases WHERE process = '{dead}'") == []
            await soon(lambda: _idle(there), PATIENCE)
        states = dict(there.rows(f"SELECT state, count(*) FROM ledger WHERE process = '{dead}' GROUP BY 1"))
        assert states["lost"] >= 1
        assert "open" not in states
        assert watch.looks > 100
        assert 0 < watch.most <= MANY * TOKEN
        [(spent, rows)] = there.rows(
            "SELECT spent_e12, (SELECT sum(cost_e12) FROM attempts WHERE owner = 'eve') FROM spend"
        )
        assert spent == rows


async def _all_at_work(there: Replicas) -> set[str] | None:
    """All replicas, once each of them has a request open and a few that have ended."""
    busy = {process for (process,) in there.rows("SELECT DISTINCT process FROM ledger WHERE state = 'open'")}
    done = {process for (process,) in there.rows("SELECT process FROM ledger GROUP BY 1 HAVING count(*) > 5")}
    return busy if len(busy & done) == 3 else None


async def _missing(there: Replicas, processes: set[str]) -> str | None:
    """The replica that the others have taken for dead."""
    left = processes - {process for (process,) in there.rows("SELECT process FROM replicas")}
    return left.pop() if left else None


async def _idle(there: Replicas) -> bool:
    """Nothing is open, nothing is leased (a lease below zero is what an answer cost beyond it), and every row is written."""
    [(count,)] = there.rows("SELECT count(*) FROM ledger WHERE state = 'open'")
    [(leased,)] = there.rows("SELECT coalesce(sum(leased_e12), 0) FROM spend")
    return not count and leased <= 0


@pytest.mark.timeout(240)
async def test_all_replicas_together_spend_a_budget_once(postgres_url: str) -> None:
    async with replicas(3, postgres_url, tokens=FEW, every=0.002) as there:
        with watched(postgres_url) as watch:
            async with load(there, clients=12):
                await soon(lambda: _refused(there), PATIENCE)
            await soon(lambda: _idle(there), PATIENCE)
        [(spent, rows)] = there.rows(
            "SELECT spent_e12, (SELECT sum(cost_e12) FROM attempts WHERE owner = 'eve') FROM spend"
        )
        assert spent == rows
        assert 0.9 * FEW * TOKEN <= spent <= 1.05 * FEW * TOKEN  # what came at once cannot be ended
        assert watch.most <= FEW * TOKEN


async def _refused(there: Replicas) -> bool:
    """Every one of them refuses now."""
    said = [await there.ask(one) for one in there.gateways]
    return all(status == 429 for status, _ in said)


@pytest.fixture
def cable(postgres_url: str) -> Iterator[Wire]:
    with wire(postgres_url) as made:
        yield made


@pytest.mark.thorough
@pytest.mark.timeout(240)
async def test_without_the_database_chats_go_on_and_budgets_as_far_as_they_are_leased(
    postgres_url: str, cable: Wire
) -> None:
    async with replicas(1, postgres_url, through=cable.url, every=0.05) as there:
        [gateway] = there.gateways
        assert (await there.ask(gateway))[0] == 200
        running = asyncio.ensure_future(there.ask(gateway))
        await there.provider.received()
        cable.cut()
        status, said = await running
        assert (status, said.count("tok "), "[DONE]" in said) == (200, 40, True)  # what runs is not touched
        assert (await there.ask(gateway, ANN, ASK))[0] == 200
        status, said = await soon(lambda: _other_than_200(there, gateway), PATIENCE)
        assert (status, '"budget_unavailable"' in said) == (503, True)
        async with there.client.get(f"{gateway.url}/threads", headers={"Authorization": f"Bearer {ANN}"}) as told:
            assert (told.status, (await told.json())["error"]["code"]) == (503, "storage_unavailable")
        metrics = await there.get(gateway, "/metrics")
        assert 'llmproxy_storage_up{worker="0"} 0.0' in metrics
        cable.mend()
        await soon(lambda: _answers(there, gateway), PATIENCE)
        await soon(lambda: _up(there, gateway), PATIENCE)
        await soon(lambda: _idle(there), PATIENCE)
        [(count,)] = there.rows("SELECT count(*) FROM ledger WHERE owner = 'ann' AND state = 'completed'")
        assert count == 1


async def _other_than_200(there: Replicas, gateway: Gateway) -> tuple[int, str] | None:
    status, said = await there.ask(gateway)
    return (status, said) if status != 200 else None


async def _answers(there: Replicas, gateway: Gateway) -> bool:
    return (await there.ask(gateway))[0] == 200


async def _up(there: Replicas, gateway: Gateway) -> bool:
    return 'llmproxy_storage_up{worker="0"} 1.0' in await there.get(gateway, "/metrics")
