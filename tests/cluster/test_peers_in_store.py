"""Replicas that find each other in the database that they share, by the addresses that they announce there."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector

from llmproxy.cluster import names
from llmproxy.cluster.discovery import Machines
from llmproxy.cluster.identity import Identity
from llmproxy.cluster.names import StoredNames, advertised
from llmproxy.config import Cluster, Config, ConfigError, Server, Storage, load
from llmproxy.store import Store
from llmproxy.testing import FakeProvider
from tests import postgres
from tests.cluster.ports import free_port
from tests.cluster.processes import SECRET
from tests.cluster.processes import Cluster as Replicas
from tests.cluster.processes import answer as answers
from tests.cutting import Wire, wire
from tests.gateway import running_gateway
from tests.waiting import soon

DATABASE = "postgresql://me@10.9.9.9/test"
HERE = {"HOME": "/nowhere"}


# What is announced


def config(**members: Any) -> Config:
    server = Server(host=members.pop("host", "0.0.0.0"))
    return Config(server, storage=Storage(url=DATABASE), cluster=Cluster(secret=SECRET, **members))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"host": "10.0.0.7"}, "http://10.0.0.7:8811"),
        ({"host": "127.0.0.1"}, "http://127.0.0.1:8811"),
        ({"host": "fd00::7"}, "http://[fd00::7]:8811"),
        ({"host": "0.0.0.0"}, "http://10.0.0.5:8811"),
        ({"host": "::"}, "http://10.0.0.5:8811"),
        ({"listen": "10.0.0.7:8812"}, "http://10.0.0.7:8812"),
        ({"listen": ":8812", "ca_file": "ca.pem"}, "https://10.0.0.5:8812"),
        ({"advertise": "http://replica-3:80"}, "http://replica-3:80"),
    ],
)
def test_the_address_is_the_one_that_is_set_or_else_where_it_listens_or_the_one_towards_the_database(
    members: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "_source_address", lambda target, family: "10.0.0.5" if target == "10.9.9.9" else "")
    assert advertised(config(**members), 8811) == expected


def test_a_machine_that_reaches_the_database_by_itself_announces_its_way_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        names, "_source_address", lambda target, family: "127.0.0.1" if target == "10.9.9.9" else "10.0.0.6"
    )
    assert advertised(config(), 8811) == "http://10.0.0.6:8811"


def from_environment(**variables: str) -> Config:
    return load(None, {**HERE, "LLMPROXY_STORAGE_URL": DATABASE, **variables})


def test_a_secret_and_a_server_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert from_environment(LLMPROXY_CLUSTER_SECRET=SECRET).finds_peers_in_store
    assert not from_environment().finds_peers_in_store
    assert not from_environment(LLMPROXY_CLUSTER_SECRET=SECRET, LLMPROXY_CLUSTER_DNS="a:1").finds_peers_in_store
    assert not load(None, {**HERE, "LLMPROXY_CLUSTER_SECRET": SECRET}).finds_peers_in_store


def test_an_address_is_checked_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = from_environment(LLMPROXY_CLUSTER_SECRET=SECRET, LLMPROXY_CLUSTER_ADVERTISE="10.0.0.7")
    assert found.cluster.advertise == "http://10.0.0.7:8811"
    with pytest.raises(ConfigError, match=r"cluster\.advertise: .* no path"):
        from_environment(LLMPROXY_CLUSTER_SECRET=SECRET, LLMPROXY_CLUSTER_ADVERTISE="http://a:1/v1")


@pytest.mark.parametrize(("more", "notes"), [({}, 1), ({"LLMPROXY_CLUSTER_ADVERTISE": "10.0.0.7"}, 0)])
def test_who_announces_loopback_to_other_machines_is_told(
    more: dict[str, str], notes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = from_environment(LLMPROXY_CLUSTER_SECRET=SECRET, **more).notes
    assert len([note for note in found if "cannot reach it" in note]) == notes


# Who is found


async def test_each_finds_the_addresses_of_all_that_live(postgres_url: str) -> None:
    async with Store(postgres_url) as one, Store(postgres_url) as other:
        await one.meet("http://a:1")
        assert await other.meet("http://b:1") == ["http://a:1", "http://b:1"]


async def test_a_process_that_announces_nothing_is_not_found(postgres_url: str) -> None:
    async with Store(postgres_url) as alone, Store(postgres_url) as one:
        await alone.beat()
        assert await one.meet("http://a:1") == ["http://a:1"]


async def test_one_that_left_or_was_silent_for_too_long_is_found_no_more(postgres_url: str) -> None:
    async with Store(postgres_url) as one:
        async with Store(postgres_url) as leaving:
            await leaving.meet("http://leaving:1")
        async with Store(postgres_url) as silent:
            await silent.meet("http://silent:1")
            await one.meet("http://a:1")
            late = f"UPDATE replicas SET expires_at = now() - interval '1 second' WHERE process = '{silent.process}'"
            postgres.execute(postgres_url, late)
            assert await one.meet("http://a:1") == ["http://a:1"]
            await silent.beat()
            await silent.meet("http://silent:1")
            assert await one.meet("http://a:1") == ["http://a:1", "http://silent:1"]


async def test_while_the_database_is_away_those_of_before_stay(postgres_url: str) -> None:
    machines = Machines(Cluster(secret=SECRET), Identity.fresh("us"))
    with wire(postgres_url) as way:
        async with Store(postgres_url) as other, Store(way.url) as store:
            await other.meet("http://127.0.0.1:1")
            machines.names = StoredNames(lambda: store, "http://127.0.0.1:2")
            await machines.look()
            found = set(machines.known)
            way.cut()
            machines._looked_up = float("-inf")
            await machines.look()
            assert set(machines.known) == found == {"http://127.0.0.1:1", "http://127.0.0.1:2"}
            await machines.close()


# Real processes

CONFIG = """
[storage]
url = "{url}"
[cluster]
secret = "{secret}"
name = "replica-{number}"
[providers.up]
adapter = "compatible"
base_url = "{provider}/v1"
models = ["hanging"]
list_models = false
retries = 0
"""


@asynccontextmanager
async def house(url: str) -> AsyncIterator[tuple[Replicas, AsyncExitStack, Wire]]:
    """Two replicas that know nothing of each other but their database."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(FakeProvider(route=answers))
        client = await stack.enter_async_context(ClientSession(connector=TCPConnector(limit=0)))
        way = stack.enter_context(wire(url))
        made = Replicas([], provider, client, {})
        await asyncio.gather(*(come(made, stack, way, number) for number in range(2)))
        yield made, stack, way


async def come(made: Replicas, stack: AsyncExitStack, way: Wire, number: int) -> None:
    text = CONFIG.format(url=way.url, secret=SECRET, number=number, provider=made.provider.url)
    gateway = await asyncio.to_thread(stack.enter_context, running_gateway(text, port=free_port()))
    made.gateways.append(gateway)


async def stopped(made: Replicas, owner: int, through: int, id: str) -> None:
    reading = await made.begun(owner, id)
    status, told = await made.call(through, "POST", f"/v1/requests/{id}/cancel")
    assert (status, told["state"]) == (200, "cancelled")
    assert b'"stopped":true' in await reading


async def know(made: Replicas, number: int, addresses: set[str], event: str = "peer_up") -> None:
    async def told() -> bool:
        return addresses <= {one["address"] for one in made.gateways[number].events(event)}

    await soon(told)


@pytest.mark.skipif(sys.platform != "linux", reason="kills processes")
@pytest.mark.timeout(120)
async def test_replicas_come_and_go_and_a_stop_needs_no_database(postgres_url: str) -> None:
    async with house(postgres_url) as (made, stack, way):
        first, second = made.url(0), made.url(1)
        await asyncio.gather(know(made, 0, {second}), know(made, 1, {first}))
        await stopped(made, 0, 1, "of-the-first")

        os.kill(made.gateways[0].process.pid, signal.SIGKILL)
        await know(made, 1, {first}, "peer_lost")
        silent = f"UPDATE replicas SET expires_at = now() - interval '1 second' WHERE address = '{first}'"
        postgres.execute(postgres_url, silent)  # as after ten seconds
        await come(made, stack, way, 2)
        third = made.url(2)
        await asyncio.gather(know(made, 1, {third}), know(made, 2, {second}))
        await stopped(made, 2, 1, "of-the-one-that-came")

        way.cut()
        await soon(lambda: _fails(made, 1))
        await stopped(made, 2, 1, "without-a-database")
        way.mend()
        await know(made, 1, {third})

        async def forgotten() -> bool:
            """The dead one is dropped when its sign of life is too old."""
            body = (await made.call(1, "GET", "/metrics"))[1].decode()
            return 'llmproxy_peers{state="up"} 1.0' in body and 'state="gone"' not in body

        await soon(forgotten)


async def _fails(made: Replicas, number: int) -> bool:
    return bool(made.gateways[number].events("peers_not_found"))
