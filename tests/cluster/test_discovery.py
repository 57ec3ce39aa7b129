"""Replicas that are found by name: each address is one, the own one is known, and what vanishes stays while it answers."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from llmproxy.cluster.discovery import Machines
from llmproxy.cluster.identity import Identity
from llmproxy.cluster.peer import Unreachable
from llmproxy.config import Cluster

CLUSTER = Cluster(dns="peers.example:8811", secret="a secret that only the replicas know")
OWN = Identity.fresh("us")


class Names:
    """A resolver, and who answers at which address; None is nobody."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.fails = False
        self.there: dict[str, Identity | None] = {}

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        assert (host, port) == ("peers.example", 8811)
        if self.fails:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(0, 0, 0, "", (address, port)) for address in self.addresses]


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    made = Names()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", made.getaddrinfo, raising=False)
    monkeypatch.setattr("llmproxy.cluster.names.DnsNames.every", 0.0)

    async def greet(self: Any, seconds: float) -> Identity:
        there = made.there.get(self.link.url)
        if there is None:
            self.state = "gone"
            raise Unreachable("gone", "nobody listens there")
        self.identity, self.state = there, "up"
        return there

    monkeypatch.setattr("llmproxy.cluster.peer.Peer.greet", greet)
    return made


def url(address: str) -> str:
    return f"http://{address}:8811"


async def test_each_address_is_a_replica_but_the_own_one(names: Names) -> None:
    other = Identity.fresh("other")
    names.addresses = ["10.0.0.1", "10.0.0.2"]
    names.there = {url("10.0.0.1"): OWN, url("10.0.0.2"): other}
    machines = Machines(CLUSTER, OWN)
    await machines.look()
    assert [one.identity for one in machines.peers] == [other]
    assert machines.processes == 1


async def test_two_addresses_of_one_replica_are_one(names: Names) -> None:
    other = Identity.fresh("other")
    names.addresses = ["10.0.0.2", "fd00::2"]
    names.there = {url("10.0.0.2"): other, url("[fd00::2]"): other}
    machines = Machines(CLUSTER, OWN)
    await machines.look()
    assert len(machines.peers) == 1


async def test_a_replica_that_the_name_no_longer_has_stays_while_it_answers(names: Names) -> None:
    leaving = Identity.fresh("leaving")
    names.addresses, names.there = ["10.0.0.2"], {url("10.0.0.2"): leaving}
    machines = Machines(CLUSTER, OWN)
    await machines.look()
    names.addresses = []
    await machines.look()
    assert [one.identity for one in machines.peers] == [leaving]
    names.there = {}
    await machines.look()
    assert machines.peers == []


async def test_while_the_name_cannot_be_looked_up_those_of_before_stay(names: Names) -> None:
    names.addresses, names.there = ["10.0.0.2"], {url("10.0.0.2"): Identity.fresh("other")}
    machines = Machines(CLUSTER, OWN)
    await machines.look()
    names.fails = True
    await machines.look()
    assert len(machines.peers) == 1


async def test_the_workers_of_all_machines_share_limits_and_one_that_is_gone_does_not(names: Names) -> None:
    names.addresses = ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    names.there = {url("10.0.0.2"): Identity.fresh("a", workers=4), url("10.0.0.3"): Identity.fresh("b", workers=2)}
    machines = Machines(CLUSTER, OWN)
    await machines.look()
    assert machines.processes == 6


async def test_a_replica_in_the_place_of_another_is_another(names: Names) -> None:
    names.addresses, names.there = ["10.0.0.2"], {url("10.0.0.2"): Identity.fresh("old")}
    machines = Machines(CLUSTER, OWN)
    await machines.look()
    names.there = {url("10.0.0.2"): Identity.fresh("new")}
    await machines.look()
    assert [one.name for one in machines.peers] == ["new"]
