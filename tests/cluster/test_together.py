"""Replicas that hang, leave, come back as another, or lead in a circle; and what all of them say together."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from llmproxy.cluster.identity import Identity
from llmproxy.cluster.peer import HELLO, PROOF, Link, Peer, Question, Unreachable
from llmproxy.cluster.signature import PROTOCOL, proof, read
from tests.cluster.house import OPERATOR, SECRET, House, Replica, asked, replica, running
from tests.cluster.ports import free_port
from tests.waiting import soon


@pytest.fixture
async def machines(tmp_path: Path) -> AsyncIterator[House]:
    async with running("machines", tmp_path) as house:
        yield house


@asynccontextmanager
async def hung_at(port: int) -> AsyncIterator[None]:
    """Accepts connections as the kernel does for a process that is stopped, and never says anything."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(100)
        yield


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


# All together


async def test_every_replica_knows_the_others_and_not_itself(machines: House) -> None:
    for one in machines.replicas:
        assert one.peers.machines is not None
        others = {other.peers.own.name for other in machines.replicas if other is not one}
        assert {peer.name for peer in one.peers.machines.peers} == others
        assert one.peers.machines.processes == 2


async def test_an_administrator_sees_what_runs_everywhere(house: House) -> None:
    for number, one in enumerate(house.replicas):
        await asked(one, id=f"runs-at-{number}")
    for one in house.replicas:
        _, told = await one.call("GET", "/v1/requests?all=true", key=OPERATOR)
        assert {each["id"] for each in told["data"]} == {"runs-at-0", "runs-at-1", "runs-at-2"}
        assert told["unanswered"] == []


async def test_without_asking_for_all_a_machine_tells_of_its_own(machines: House) -> None:
    await asked(machines.replicas[0])
    _, told = await machines.replicas[1].call("GET", "/v1/requests", key=OPERATOR)
    assert told["data"] == []


async def test_all_is_for_administrators(machines: House) -> None:
    status, told = await machines.replicas[0].call("GET", "/v1/requests?all=true")
    assert (status, told["error"]["code"]) == (403, "forbidden")


async def test_each_request_has_an_id_that_names_its_replica(house: House) -> None:
    one = house.replicas[0]
    await asked(one, id="of-the-client")
    _, told = await house.replicas[1].call("GET", "/v1/requests/of-the-client")
    assert told["id"] == "of-the-client"
    assert told["uid"].startswith(one.registry.tag)


async def test_metrics_are_those_of_the_machine(machines: House) -> None:
    await asked(machines.replicas[0])
    _, own = await machines.replicas[0].call("GET", "/metrics")
    _, other = await machines.replicas[1].call("GET", "/metrics")
    assert b"llmproxy_in_flight 1.0" in own
    assert b"llmproxy_in_flight 0.0" in other


# One that hangs


async def test_one_that_hangs_is_named_and_waited_for_no_longer_than_a_deadline(machines: House) -> None:
    hanging, one, other = machines.replicas
    await asked(other, id="runs-elsewhere")
    await hanging.kill()
    async with hung_at(port_of(hanging.url)):
        _, told = await one.call("GET", "/v1/requests?all=true", key=OPERATOR)
        assert told["unanswered"] == ["replica-0"]
        assert [each["id"] for each in told["data"]] == ["runs-elsewhere"]


async def test_a_stop_that_may_be_for_one_that_hangs_says_so_instead_of_not_found(machines: House) -> None:
    hanging, one, _ = machines.replicas
    await asked(hanging, id="with-the-hanging")
    await hanging.kill()
    async with hung_at(port_of(hanging.url)):
        for method, path, body in (
            ("POST", "/v1/requests/with-the-hanging/cancel", None),
            ("GET", "/v1/requests/with-the-hanging", None),
            ("GET", "/v1/requests/with-the-hanging/stream", None),
            ("POST", "/chat/cancel", {"request_id": "with-the-hanging"}),
            ("POST", "/threads/cancel/with-the-hanging", None),
        ):
            status, told = await one.call(method, path, body)
            assert (status, told["error"]["code"]) == (503, "peer_unreachable"), path


async def test_what_others_know_is_answered_while_one_hangs(machines: House) -> None:
    hanging, one, other = machines.replicas
    await asked(other, id="with-another")
    await hanging.kill()
    async with hung_at(port_of(hanging.url)):
        assert (await one.call("GET", "/v1/requests/with-another"))[0] == 200
        assert (await one.call("POST", "/v1/requests/with-another/cancel"))[1]["state"] == "cancelled"
        async with asyncio.timeout(20):
            await machines.provider.last.closed.wait()


async def test_a_request_of_ones_own_is_stopped_while_another_hangs(machines: House) -> None:
    hanging, one, _ = machines.replicas
    await asked(one, id="of-ones-own")
    await hanging.kill()
    async with hung_at(port_of(hanging.url)):
        assert (await one.call("POST", "/v1/requests/of-ones-own/cancel"))[1]["state"] == "cancelled"


async def test_a_reader_of_a_replica_that_hangs_in_mid_stream_is_told(
    machines: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmproxy.server.middleware.relaying._SILENCE", 0.2)
    owner, one, _ = machines.replicas
    await asked(owner, id="with-the-hanging")
    response = await one.open("GET", "/v1/requests/with-the-hanging/stream")
    assert await response.content.readline()
    (peer,) = [each for each in one.peers.targets("client") if each.name == "replica-0"]

    async def silent(seconds: float) -> Identity:
        raise Unreachable("silent", "did not answer in time")

    peer.greet = silent  # type: ignore[method-assign]  # as for a process that is stopped while its connections stay
    last = (await response.read()).rstrip().rpartition(b"\n\n")[2]
    assert last.startswith(b"event: done")
    assert b'"peer_unreachable"' in last


# One that is replaced, and one that leaves


async def is_unknown(one: Replica, id: str) -> bool:
    status, _ = await one.call("GET", f"/v1/requests/{id}")
    return bool(status == 404)


async def test_one_in_the_place_of_another_is_known_by_its_own_name(machines: House, tmp_path: Path) -> None:
    old, one, _ = machines.replicas
    await asked(old, id="with-the-old")
    (was,) = old.registry
    await old.kill()
    ports = [port_of(each.url) for each in machines.replicas]
    async with replica("machines", tmp_path, 0, ports, machines.provider, {}) as fresh:
        assert fresh.registry.tag != old.registry.tag
        for id in ("with-the-old", was.uid):
            await soon(partial(is_unknown, one, id))  # 503 while the other one has not greeted it yet
        await asked(fresh, id="with-the-new")
        assert (await one.call("POST", "/v1/requests/with-the-new/cancel"))[1]["state"] == "cancelled"
        assert (await fresh.call("POST", "/v1/requests/nobodys-id/cancel"))[0] == 404


def peer_named(house: House, at: int, name: str) -> Peer:
    return next(each for each in house.replicas[at].peers.targets("client") if each.name == name)


async def test_one_that_was_replaced_since_it_was_greeted_is_greeted_anew(machines: House) -> None:
    await asked(machines.replicas[0], id="with-the-new")
    peer = peer_named(machines, 1, "replica-0")
    assert peer.identity is not None
    peer.identity = dataclasses.replace(peer.identity, instance="0" * 32)  # as it was before a restart
    assert (await peer.read(Question("GET", "/v1/requests/with-the-new", {}, caller="client")))[0] == 200
    assert peer.identity.instance == machines.replicas[0].peers.own.instance


async def test_a_kept_connection_that_was_closed_meanwhile_is_made_anew(machines: House) -> None:
    await asked(machines.replicas[0], id="asked-again")
    peer = peer_named(machines, 1, "replica-0")
    question = Question("POST", "/v1/requests/nobodys-id/cancel", {}, caller="client")
    assert (await peer.read(question))[0] == 404
    runner = machines.replicas[0].runner
    assert runner.server is not None
    for connection in list(runner.server.connections):
        if connection.transport is not None and not connection._current_request:  # kept, and idle
            connection.transport.abort()
    assert (await peer.read(question))[0] == 404


async def test_calls_after_one_another_share_a_connection(machines: House) -> None:
    peer = peer_named(machines, 1, "replica-0")
    question = Question("GET", "/v1/requests/nobodys-id", {}, caller="client")
    for _ in range(5):
        assert (await peer.read(question))[0] == 404
    assert peer._session is not None
    connector = peer._session.connector
    assert connector is not None
    kept = sum(map(len, connector._conns.values())) + len(connector._acquired)
    assert kept <= 2, "a greeting may be on its way beside them"


async def test_one_that_is_gone_is_noticed_and_no_longer_shares_the_limits(machines: House) -> None:
    gone, one, _ = machines.replicas
    found = one.peers.machines
    assert found is not None
    await gone.kill()

    async def noticed() -> bool:
        return found.processes == 1

    await soon(noticed)


# Circles


async def test_no_question_comes_back(house: House) -> None:
    """An id that nobody knows: each of the others is asked once, and asks nobody."""
    counts = {one.url: 0 for one in house.replicas}
    for one in house.replicas:
        first = one.peers.first

        async def counted(question: Any, peers: Any, _first: Any = first, _url: str = one.url) -> Any:
            counts[_url] += 1
            return await _first(question, peers)

        one.peers.first = counted  # type: ignore[method-assign]  # counts, and asks
    assert (await house.replicas[0].call("GET", "/v1/requests/nobodys-id"))[0] == 404
    asked_by = [counts[one.url] for one in house.replicas]
    assert asked_by[0] == 1
    assert sum(asked_by[1:]) <= 2, "the others look among their own workers, of which they have none to ask"


async def test_who_was_asked_asks_no_machine(machines: House) -> None:
    peers = machines.replicas[0].peers
    assert len(peers.targets("client")) == 2
    assert peers.targets("machine") == []
    assert peers.targets("worker") == []


# Versions


@asynccontextmanager
async def impostor(told: dict[str, Any]) -> AsyncIterator[str]:
    """A replica that knows the secret, and says of itself what is told."""

    async def hello(request: web.Request) -> web.Response:
        claims = read(SECRET.encode(), "GET", HELLO, request.headers["X-LLMProxy-Peer"])
        assert claims is not None
        response = web.json_response(told)
        assert isinstance(response.body, bytes)
        response.headers[PROOF] = proof(SECRET.encode(), claims.nonce, response.body)
        return response

    app = web.Application()
    app.router.add_get(HELLO, hello)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def test_one_of_another_protocol_is_said_and_not_asked() -> None:
    other = Identity.fresh("newer").as_json(0.0) | {"protocol": PROTOCOL + 1}
    async with impostor(other) as url:
        peer = Peer(Link(url), SECRET.encode(), Identity.fresh("us"))
        with pytest.raises(Unreachable, match="protocol 2, not 1"):
            await peer.greet(5)
        assert peer.state == "strange"
        await peer.close()


async def test_what_a_newer_version_says_beside_is_left_out() -> None:
    other = Identity.fresh("newer").as_json(0.0) | {"version": "99", "colour": "blue"}
    async with impostor(other) as url:
        peer = Peer(Link(url), SECRET.encode(), Identity.fresh("us"))
        assert (await peer.greet(5)).version == "99"
        await peer.close()


async def test_a_clock_that_is_wrong_does_not_part_them() -> None:
    """Signatures are made by the clock of who reads them."""
    other = Identity.fresh("late").as_json(0.0)
    async with impostor(other) as url:
        peer = Peer(Link(url), SECRET.encode(), Identity.fresh("us"))
        await peer.greet(5)
        assert peer._offset < -1_000_000
        await peer.close()
