"""Replicas whose network is cut, in one direction or both: nothing that is said is wrong, and all comes back by itself.

With CI=true two of the cuts are made. LLMPROXY_PARTITIONS=N makes every cut there is N times, and asserts how long all takes, so
that it needs an idle machine; `make soak` does it twice.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from llmproxy.testing import Behaviour, Exchange, FakeProvider, chunk, sse
from tests import postgres
from tests.accounts.house import KEYS, ROOT, written
from tests.accounts.test_budgets import EVE, SSE, STREAMED, TOKEN, dollars, streamed
from tests.accounts.test_replicas import watched
from tests.cluster.network import CLIENTS, REDIS, STORE, Network, network
from tests.cluster.processes import Proxy, known_by
from tests.cluster.redis_server import own_redis
from tests.gateway import Gateway, running_gateway
from tests.waiting import soon

ROUNDS = int(os.environ.get("LLMPROXY_PARTITIONS", "0"))
PORT, PATIENCE = 8811, 60.0
# Seconds in which whoever asks through a replica that is cut off has an answer. A busy machine takes its time.
DEADLINE, LISTED = (3.0, 12.0) if ROUNDS else (PATIENCE, PATIENCE)
LIMIT = 60_000 if ROUNDS else 8_000  # tokens that eve may spend: all of them, before the end
FAY = "fay-secret-of-some-length"
A, B, C = 0, 1, 2

Way = tuple[
    int, int
]  # who sends, who does not get it: replicas by their number, STORE and REDIS as `-STORE` and `-REDIS`


def both(*others: int) -> tuple[Way, ...]:
    return out(*others) + into(*others)


def out(*others: int) -> tuple[Way, ...]:
    return tuple((A, other) for other in others)


def into(*others: int) -> tuple[Way, ...]:
    return tuple((other, A) for other in others)


CUTS: dict[str, tuple[Way, ...]] = {
    "peers": both(B, C),
    "peers, what it sends": out(B, C),
    "peers, what it gets": into(B, C),
    "the database": both(-STORE),
    "the database, what it sends": out(-STORE),
    "the database, what it gets": into(-STORE),
    "Redis": both(-REDIS),
    "Redis, what it sends": out(-REDIS),
    "Redis, what it gets": into(-REDIS),
    "everything but clients and the provider": both(B, C, -STORE, -REDIS),
}
FEW = ("peers, what it gets",)


def answer(exchange: Exchange) -> Behaviour | None:
    """`m-ticking` says a word every 50 ms for a minute; every other model has answered within 40 ms."""
    if exchange.method != "POST":
        return None
    if exchange.json["model"] == "m-ticking":
        frames = [sse(chunk({"content": f"{number} "}), done=False) for number in range(1200)]
        return Behaviour(frames, headers=SSE, every=0.05)
    return streamed(40, every=0.004)


@dataclass
class Stream:
    """One that is read to its end beside what the test does."""

    id: str
    seen: bytearray = field(default_factory=bytearray)
    reading: asyncio.Task[None] | None = None

    @property
    def events(self) -> int:
        return self.seen.count(b"\ndata: ") + self.seen.startswith(b"data: ")


@dataclass
class Parted:
    """Three replicas in a network that can be cut. took: seconds until each thing was back, by its name."""

    net: Network
    gateways: list[Gateway]
    provider: FakeProvider
    client: ClientSession
    took: dict[str, list[float]] = field(default_factory=dict)
    streams: list[Stream] = field(default_factory=list)

    def cut(self, ways: Sequence[Way]) -> None:
        for source, target in ways:
            self.net.drop(self._address(source), self._address(target))

    def _address(self, which: int) -> int:
        return -which if which < 0 else self.net.replica(which)

    async def call(self, number: int, method: str, path: str, body: Any = None, key: str = ROOT) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}"}
        async with self.client.request(method, self.gateways[number].url + path, json=body, headers=headers) as said:
            raw = await said.read()
            return said.status, await said.json() if said.content_type == "application/json" else raw

    async def gauge(self, number: int, name: str) -> float:
        _, told = await self.call(number, "GET", "/metrics")
        line = next(one for one in told.decode().splitlines() if one.startswith(name))
        return float(line.rpartition(" ")[2])

    async def begun(self, number: int, id: str) -> Stream:
        stream, started = Stream(id), asyncio.Event()
        body = {"model": "near/m-ticking", "messages": [{"role": "user", "content": id}], "stream": True}
        headers = {"Authorization": f"Bearer {ROOT}", "X-Request-ID": id}

        async def read() -> None:
            url = f"{self.gateways[number].base_url}/chat/completions"
            async with self.client.post(url, json=body, headers=headers) as said:
                async for piece in said.content.iter_any():
                    stream.seen += piece
                    started.set()

        stream.reading = asyncio.ensure_future(read())
        self.streams.append(stream)
        async with asyncio.timeout(PATIENCE):
            await started.wait()
        return stream

    def exchange(self, id: str) -> Exchange:
        return next(
            one for one in self.provider.exchanges if one.method == "POST" and one.json["messages"][-1]["content"] == id
        )

    async def stop(self, number: int, id: str) -> tuple[int, Any]:
        return await self.call(number, "POST", f"/v1/requests/{id}/cancel")

    async def is_closed(self, id: str) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.exchange(id).closed.wait()


@asynccontextmanager
async def parted() -> AsyncIterator[tuple[Parted, str]]:
    """The replicas, and the URL of their database as the test reaches it."""
    async with AsyncExitStack() as stack:
        net = stack.enter_context(network())
        url = stack.enter_context(postgres.database(stack.enter_context(postgres.server())))
        redis = stack.enter_context(own_redis())
        provider = await stack.enter_async_context(FakeProvider(route=answer))
        parts = urlsplit(url)
        for last, port, at, to in (
            (CLIENTS, 8000, "127.0.0.1", provider.port),
            (STORE, 5432, parts.hostname or "127.0.0.1", parts.port or 5432),
            (REDIS, 6379, "127.0.0.1", redis.port),
        ):
            await stack.enter_async_context(Proxy(port, to, net.address(last), at).serving())
        place = f"{parts.netloc.rpartition('@')[0]}@{net.address(STORE)}:5432".removeprefix("@")
        environment = {
            "LLMPROXY_STORAGE_URL": parts._replace(netloc=place).geturl(),
            "LLMPROXY_CLUSTER_REDIS": f"redis://{net.address(REDIS)}:6379/0",
            "LLMPROXY_CLUSTER_SECRET": "a secret that only the replicas know",
            "LLMPROXY_CLUSTER_PEERS": ",".join(
                f"http://{net.address(net.replica(number))}:{PORT}" for number in range(3)
            ),
        }
        config = written(keys(), 8000).replace("127.0.0.1:8000", f"{net.address(CLIENTS)}:8000")
        starting = [
            asyncio.to_thread(
                stack.enter_context,
                running_gateway(
                    config,
                    {**environment, "LLMPROXY_CLUSTER_NAME": f"replica-{number}"},
                    port=PORT,
                    host=net.address(net.replica(number)),
                    within=net.within(number),
                ),
            )
            for number in range(3)
        ]
        gateways = [await one for one in starting]
        await known_by(gateways)
        connector, patience = TCPConnector(limit=0, force_close=True), ClientTimeout(sock_read=PATIENCE)
        client = await stack.enter_async_context(ClientSession(connector=connector, timeout=patience))
        there = Parted(net, gateways, provider, client)
        try:
            yield there, url
        finally:
            net.heal()
            for stream in there.streams:
                if stream.reading is not None:
                    stream.reading.cancel()


def keys() -> str:
    """eve's budget is used up on the way; fay's is not."""
    made = [("eve", EVE, f"{dollars(LIMIT)}/total"), ("fay", FAY, "100/total")]
    return KEYS + "".join(
        f'[[server.keys]]\nname = "{name}"\nsecret = "{secret}"\nbudget = "{budget}"\nrpm = 1000000\n'
        for name, secret, budget in made
    )


# What goes on beside the cuts


@asynccontextmanager
async def spending(there: Parted, clients: int = 4) -> AsyncIterator[None]:
    """Clients of eve's key that ask one replica after the other, whatever the answer is."""

    async def client(number: int) -> None:
        while True:
            number = (number + 1) % 3
            with suppress(ClientError, TimeoutError):
                await there.call(number, "POST", "/v1/chat/completions", STREAMED, EVE)
            await asyncio.sleep(0.02)

    tasks = [asyncio.ensure_future(client(number)) for number in range(clients)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# One cut


async def weathered(there: Parted, name: str, number: int, lasts: Callable[[], Awaitable[object]]) -> None:
    """A cut for as long as that takes, all that must hold meanwhile, and how soon after it all is as before."""
    ways = CUTS[name]
    reaches_peers = not any(other in (B, C) for way in ways for other in way)
    ids = {
        end: f"stream-{end}-{number}" for end in ("a-own", "a-by-c", "a-stays", "b-own", "b-by-a", "b-by-c", "b-stays")
    }
    for end, id in ids.items():
        await there.begun(A if end.startswith("a") else B, id)
    there.cut(ways)
    lasting = asyncio.ensure_future(lasts())
    asked = [
        asyncio.ensure_future(one)
        for one in (
            the_owner_stops(there, A, ids["a-own"]),
            the_owner_stops(there, B, ids["b-own"]),
            told_truly(there, A, ids["b-by-a"], reaches=reaches_peers),
            told_truly(there, C, ids["a-by-c"], reaches=reaches_peers),
            told_truly(there, C, ids["b-by-c"], reaches=True),
            goes_on(there, ids["a-stays"]),
            goes_on(there, ids["b-stays"]),
            lists_or_says_why(there, ways),
        )
    ]
    await asyncio.gather(*asked)
    await lasting
    there.net.heal()
    await all_is_back(there, number, name)
    for end in ("a-stays", "b-stays"):  # through the cut, and read by their first readers until now
        await goes_on(there, ids[end])
        status, told = await there.stop(C, ids[end])
        assert (status, told["state"]) == (200, "cancelled")
        await there.is_closed(ids[end])
    for end in ("b-by-a", "a-by-c"):
        await there.stop(A if end.startswith("a") else B, ids[end])
        await there.is_closed(ids[end])


async def the_owner_stops(there: Parted, owner: int, id: str) -> None:
    asked = time.monotonic()
    status, told = await there.stop(owner, id)
    assert (status, told["state"]) == (200, "cancelled")
    await there.is_closed(id)
    assert time.monotonic() - asked < DEADLINE


async def told_truly(there: Parted, number: int, id: str, *, reaches: bool) -> None:
    """A stop through another replica is done, or said not to be known of, in time."""
    asked = time.monotonic()
    status, told = await there.stop(number, id)
    assert time.monotonic() - asked < DEADLINE
    if reaches:
        assert (status, told["state"]) == (200, "cancelled")
    else:
        assert (status, told["error"]["code"]) == (503, "peer_unreachable")
    if status == 200:
        await there.is_closed(id)


async def goes_on(there: Parted, id: str) -> None:
    stream = next(one for one in there.streams if one.id == id)
    before = stream.events

    async def further() -> bool:
        assert stream.reading is not None
        assert not stream.reading.done(), stream.seen[-300:]
        return stream.events >= before + 10

    await soon(further, PATIENCE)


async def lists_or_says_why(there: Parted, ways: Sequence[Way]) -> None:
    """Threads are answered from the database, or with the reason within the time that a statement has."""
    asked = time.monotonic()
    status, told = await there.call(A, "GET", "/threads")
    assert time.monotonic() - asked < LISTED
    if any(-STORE in way for way in ways):
        assert (status, told["error"]["code"]) == (503, "storage_unavailable")
    else:
        assert status == 200


async def all_is_back(there: Parted, number: int, name: str) -> None:
    healed = time.monotonic()

    async def back(what: str, look: Callable[[], Awaitable[bool]]) -> None:
        await soon(look, PATIENCE)
        there.took.setdefault(f"{what} after {name}", []).append(time.monotonic() - healed)

    async def stops(owner: int, through: int) -> bool:
        status, _ = await there.stop(through, f"nobody-knows-{owner}-{number}")
        return status == 404  # every replica has answered: nobody knows it

    async def lists() -> bool:
        return (await there.call(A, "GET", "/threads"))[0] == 200

    async def pays() -> bool:
        return (await there.call(A, "POST", "/v1/chat/completions", STREAMED, FAY))[0] == 200

    async def counts() -> bool:
        return await there.gauge(A, "llmproxy_limits_shared{") == 1

    async def stores() -> bool:
        return await there.gauge(A, "llmproxy_storage_up{") == 1

    await asyncio.gather(
        back("a stop through the cut replica", lambda: stops(B, A)),
        back("a stop of the cut replica's", lambda: stops(A, C)),
        back("threads", lists),
        back("budgets", pays),
        back("limits together", counts),
        back("the database", stores),
    )


# The tests


@pytest.mark.thorough
@pytest.mark.timeout(240 + 300 * ROUNDS)
async def test_whatever_is_cut_nothing_is_said_that_is_not_so_and_all_comes_back() -> None:
    async with parted() as (there, url):
        with (
            watched(url, "SELECT spent_e12 + leased_e12 FROM spend WHERE account = 'key:eve'") as watch,
            watched(url, "SELECT coalesce(max(granted_e12), 0) FROM leases WHERE account = 'key:eve'") as lease,
        ):
            async with spending(there):
                names = [*CUTS] * ROUNDS if ROUNDS else FEW
                for number, name in enumerate(names):
                    await weathered(there, name, number, lambda: asyncio.sleep(3.0 if ROUNDS else 0.0))
                await weathered(there, "everything but clients and the provider", len(names), lambda: _one_buried(url))
            await soon(lambda: _settled(url), PATIENCE)
        assert watch.looks > 100
        deaths = sum(len(one.events("replica_taken_for_dead")) for one in there.gateways)
        # What it had leased, others may have leased when it was taken for dead.
        assert 0 < watch.most <= LIMIT * TOKEN + deaths * lease.most
        [(spent, rows)] = postgres.execute(
            url,
            "SELECT spent_e12, (SELECT sum(cost_e12) FROM attempts WHERE owner = 'eve') FROM spend "
            "WHERE account = 'key:eve'",
        )
        assert spent == rows
        for gateway in there.gateways:
            for event in ("internal_error", "job_failed", "keys_not_read"):
                assert gateway.events(event) == [], event
        told = sorted(there.took.items(), key=lambda one: -max(one[1]))
        print(
            f"\n{len(names) + 1} cuts, {watch.looks} looks at the budget, {watch.most / TOKEN:.0f} of {LIMIT} tokens, "
            f"{deaths} taken for dead, {lease.most / TOKEN:.0f} tokens leased by one at most"
        )
        print("\n".join(f"{max(seconds):6.2f} s at most until {what}" for what, seconds in told[:40]))


async def _one_buried(url: str) -> None:
    """Until the others have taken the one that is cut off for dead."""

    async def buried() -> bool:
        [(count,)] = postgres.execute(url, "SELECT count(*) FROM replicas")
        return bool(count == 2)

    await soon(buried, PATIENCE, every=0.1)


async def _settled(url: str) -> bool:
    [(count,)] = postgres.execute(url, "SELECT count(*) FROM ledger WHERE state = 'open'")
    [(leased,)] = postgres.execute(url, "SELECT coalesce(sum(leased_e12), 0) FROM spend WHERE account = 'key:eve'")
    return not count and leased <= 0
