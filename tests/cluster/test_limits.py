"""A key's limits over several replicas, by Redis and without: asked as clients ask."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from llmproxy.config import Cluster, Key, Server
from llmproxy.server.context import ACCOUNTS
from tests.cluster.house import House, running
from tests.cluster.redis_server import RedisServer, own_redis
from tests.waiting import soon

WHOLE = {"model": "whole", "messages": [{"role": "user", "content": "Hi"}]}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
LIMITED = Key("limited", "key-of-limited", rpm=6)
FEW = Key("few", "key-of-few", max_parallel=2)
ADMIN = Key("operator", "key-of-operator", admin=True)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with own_redis() as made:
        yield made


@asynccontextmanager
async def limited(folder: Path, redis: str = "") -> AsyncIterator[House]:
    members = {"server": Server(keys=(LIMITED, FEW, ADMIN)), "cluster": Cluster(redis=redis)}
    async with running("machines", folder, members=members) as house:
        if redis:

            async def together() -> bool:
                return all(
                    (one := replica.app[ACCOUNTS].together) is not None and one.is_there for replica in house.replicas
                )

            await soon(together)
            for replica in house.replicas:
                replica.app[ACCOUNTS].together._wait = 20.0  # type: ignore[union-attr]  # a slow machine is no outage
        else:

            async def shared() -> bool:
                return all(replica.app[ACCOUNTS]._shares == 3 for replica in house.replicas)

            await soon(shared)
        yield house


async def statuses(house: House, count: int) -> list[list[int]]:
    """By replica, asked in turn."""
    found: list[list[int]] = [[] for _ in house.replicas]
    for number in range(count):
        at = number % len(house.replicas)
        status, _ = await house.replicas[at].call("POST", "/v1/chat/completions", WHOLE, key=LIMITED)
        found[at].append(status)
    return found


async def test_with_redis_a_key_has_its_limit_wherever_it_asks(tmp_path: Path, server: RedisServer) -> None:
    async with limited(tmp_path, server.url) as house:
        began = time.monotonic()
        first = house.replicas[0]
        all_of_one = [(await first.call("POST", "/v1/chat/completions", WHOLE, key=LIMITED))[0] for _ in range(6)]
        assert all_of_one == [200] * 6
        told = [status for each in await statuses(house, 9) for status in each]
        refilled = int((time.monotonic() - began) / 10) + 1  # one every ten seconds
        assert told.count(200) <= refilled
        assert set(told) <= {200, 429}


async def test_without_redis_each_replica_has_its_share(tmp_path: Path) -> None:
    async with limited(tmp_path) as house:
        began = time.monotonic()
        told = await statuses(house, 12)
        refilled = int((time.monotonic() - began) / 30) + 1  # of each, one every thirty seconds
        for each in told:
            assert 2 <= each.count(200) <= 2 + refilled


async def test_with_redis_requests_at_once_are_counted_over_all(tmp_path: Path, server: RedisServer) -> None:
    async with limited(tmp_path, server.url) as house:
        streams = []
        for replica in house.replicas[:2]:
            response = await replica.open("POST", "/v1/chat/completions", CHAT, key=FEW)
            assert response.status == 200
            streams.append(response)
        third = house.replicas[2]
        status, told = await third.call("POST", "/v1/chat/completions", CHAT, key=FEW)
        assert (status, told["error"]["type"]) == (429, "parallel")
        streams[0].close()

        async def room() -> bool:
            async with await third.open("POST", "/v1/chat/completions", CHAT, key=FEW) as response:
                return response.status == 200

        await soon(room)
        streams[1].close()


async def test_the_metrics_say_whether_limits_are_counted_together(tmp_path: Path, server: RedisServer) -> None:
    async with limited(tmp_path, server.url) as house:
        _, told = await house.replicas[0].call("GET", "/metrics", key=ADMIN)
        assert b'llmproxy_limits_shared{worker="0"} 1.0' in told
        assert b'llmproxy_peers{state="up"} 2.0' in told


async def test_a_stream_and_its_stop_need_no_count(tmp_path: Path, server: RedisServer) -> None:
    async with limited(tmp_path, server.url) as house:
        server.kill()
        try:
            await asked_as_admin(house)
            status, told = await house.replicas[1].call("POST", "/v1/requests/no-count-needed/cancel", key=ADMIN)
            assert (status, told["state"]) == (200, "cancelled")
        finally:
            server.again()


async def asked_as_admin(house: House) -> None:
    response = await house.replicas[0].open(
        "POST", "/chat/stream", {"message": "Hi", "model": "m"}, key=ADMIN, headers={"X-Request-ID": "no-count-needed"}
    )
    assert response.status == 200
    while b"event: token" not in await response.content.readline():
        pass
