"""Every route about one request x {its owner is asked, another replica is, its owner is dead}, over both transports."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from llmproxy.server.routes import API
from llmproxy.store import Store
from llmproxy.store.ledger import Entry
from tests.cluster.house import CLIENT, OPERATOR, OTHER, House, Replica, asked, running
from tests.waiting import soon


@dataclass(frozen=True)
class Case:
    """`path` with the id of what is asked about. alive, dead: the status that whoever is asked answers with."""

    method: str
    path: str
    alive: int
    dead: int
    body: Any = None
    stops: bool = False
    begin: str = "stream"  # what is asked about
    admin: bool = False


@dataclass
class Begun:
    """Something that goes on at the first replica: its ids, and the stream of its client."""

    ids: dict[str, str]
    stream: ClientResponse | None


async def stream(house: House) -> Begun:
    response = await asked(house.replicas[0], id="of-the-client")
    (running,) = house.replicas[0].registry
    return Begun({"alias": "of-the-client", "uid": running.uid}, response)


async def thread(house: House) -> Begun:
    _, made = await house.replicas[0].call("POST", "/threads", {})
    response = await asked(house.replicas[0], f"/threads/{made['id']}/messages/stream")
    return Begun({"uid": made["id"]}, response)


async def background(house: House) -> Begun:
    owner = house.replicas[0]
    _, made = await owner.call("POST", "/v1/responses", {"model": "m", "input": "Hi", "background": True})
    await house.provider.received()
    return Begun({"uid": made["id"]}, None)


async def key(house: House) -> Begun:
    """A stream of a key that is kept in the store."""
    owner = house.replicas[0]
    _, made = await owner.call("POST", "/api/keys", {"name": "kept"}, key=OPERATOR)
    response = await owner.client.post(
        f"{owner.url}/chat/stream",
        json={"message": "Hi", "model": "m"},
        headers={"Authorization": f"Bearer {made['secret']}"},
    )
    async with asyncio.timeout(20):
        while b"event: token" not in await response.content.readline():
            pass
    return Begun({"uid": "kept"}, response)


BEGIN: dict[str, Callable[[House], Awaitable[Begun]]] = {
    "stream": stream,
    "thread": thread,
    "background": background,
    "key": key,
}
CASES = {
    "look": Case("GET", "/v1/requests/{id}", 200, 200),
    "flight record": Case("GET", "/v1/requests/{id}/trace", 200, 410),
    "stop": Case("POST", "/v1/requests/{id}/cancel", 200, 200, stops=True),
    "stop as an administrator": Case("POST", "/v1/requests/{id}/cancel", 200, 200, stops=True, admin=True),
    "stop on the page": Case("POST", "/chat/cancel", 200, 200, {"request_id": "{id}"}, stops=True),
    "stop in a thread": Case("POST", "/threads/cancel/{id}", 200, 200, stops=True),
    "stop of all": Case("POST", "/v1/requests/cancel", 200, 200, {"model": "m"}, stops=True, admin=True),
    "purge of a thread": Case("DELETE", "/threads/{id}?purge=1", 204, 204, stops=True, begin="thread"),
    "purge of all": Case("DELETE", "/threads", 204, 204, stops=True, begin="thread"),
    "key revoked": Case("DELETE", "/api/keys/{id}", 200, 200, stops=True, begin="key", admin=True),
    "response": Case("GET", "/v1/responses/{id}", 200, 404, begin="background"),
    "response's input": Case("GET", "/v1/responses/{id}/input_items", 200, 404, begin="background"),
    "response stopped": Case("POST", "/v1/responses/{id}/cancel", 200, 404, stops=True, begin="background"),
    "response deleted": Case("DELETE", "/v1/responses/{id}", 200, 404, begin="background"),
}
RESUME = "/v1/requests/{id}/stream"  # has tests of its own: its answer goes on
ABOUT_ALL = {"GET /v1/requests", "GET /metrics", "GET /internal/peer"}  # of no request in particular


def test_the_table_has_every_route_that_replicas_ask_each_other() -> None:
    told = {f"{one.method} {one.path.partition('?')[0]}".replace("/{name}", "/{id}") for one in CASES.values()}
    routes = {f"{one.method} {one.path}" for one in API if one.peers}
    known = {route.replace("{request_id}", "{id}").replace("{name}", "{id}") for route in routes}
    assert told | ABOUT_ALL | {f"GET {RESUME}"} == known


def filled(value: Any, id: str) -> Any:
    if isinstance(value, dict):
        return {name: filled(inner, id) for name, inner in value.items()}
    return value.replace("{id}", id)


async def ask(replica: Replica, case: Case, id: str) -> tuple[int, Any]:
    body = filled(case.body, id) if case.body is not None else None
    return await replica.call(case.method, filled(case.path, id), body, key=OPERATOR if case.admin else CLIENT)


@pytest.mark.parametrize("by", ["alias", "uid"])
@pytest.mark.parametrize("where", ["here", "elsewhere"])
@pytest.mark.parametrize("name", CASES)
async def test_whoever_is_asked_answers_as_the_owner_does(house: House, name: str, where: str, by: str) -> None:
    case = CASES[name]
    begun = await BEGIN[case.begin](house)
    if by not in begun.ids:
        pytest.skip("it has one id only")
    status, told = await ask(house.replicas[0 if where == "here" else 1], case, begun.ids[by])
    assert status == case.alive, told
    if case.stops:
        async with asyncio.timeout(20):
            await house.provider.last.closed.wait()
    else:
        assert len(house.replicas[0].registry) == 1
    if begun.stream is not None:
        begun.stream.close()


@pytest.mark.parametrize("name", CASES)
async def test_what_a_dead_replica_knew_is_lost_or_as_what_nobody_knows(house: House, name: str) -> None:
    case = CASES[name]
    begun = await BEGIN[case.begin](house)
    if case.begin == "stream":
        await noted(house.replicas[0])
    await house.replicas[0].kill()
    for id in begun.ids.values():
        status, told = await ask(house.replicas[1], case, id)
        assert status == case.dead, told
        if case.dead == 404:
            assert told["error"]["code"] == "response_not_found"
        elif case.dead == 410:
            assert told["error"]["code"] == "answer_lost"
        elif case.begin == "stream" and not case.path.endswith("/requests/cancel"):
            assert told.get("state", told.get("status")) == "lost"


async def noted(replica: Replica) -> None:
    """The ledger has its request as open."""
    (running,) = replica.registry
    await soon(lambda: replica.store.remembered(running.owner, running.id))


async def test_a_lost_request_is_shown_as_one_that_is_known(house: House) -> None:
    first, second, _ = house.replicas
    begun = await stream(house)
    _, known = await first.call("GET", "/v1/requests/of-the-client")
    await noted(first)
    await first.kill()
    status, told = await second.call("GET", "/v1/requests/of-the-client")
    assert status == 200
    assert (told["state"], told["code"], told["status"]) == ("lost", "answer_lost", None)
    assert told.keys() == known.keys()
    same = ("id", "uid", "model", "provider", "owner", "started_at")
    assert {name: told[name] for name in same} == {name: known[name] for name in same}
    assert told["uid"] == begun.ids["uid"]


@pytest.mark.parametrize("by", ["alias", "uid"])
async def test_what_had_ended_before_its_replica_died_is_told_as_the_store_knows_it(house: House, by: str) -> None:
    first, second, _ = house.replicas
    begun = await stream(house)
    await first.call("POST", "/v1/requests/of-the-client/cancel")
    _, known = await first.call("GET", "/v1/requests/of-the-client")
    first.store.ledger.flush()
    await first.store.write(lambda db: None)
    await first.kill()
    id = begun.ids[by]
    for method, path in (("GET", f"/v1/requests/{id}"), ("POST", f"/v1/requests/{id}/cancel")):
        status, told = await second.call(method, path)
        same = ("id", "uid", "state", "by", "status", "code", "model", "provider", "owner", "started_at")
        assert (status, {name: told[name] for name in same}) == (200, {name: known[name] for name in same})
    assert (await second.call("POST", "/chat/cancel", {"request_id": id}))[1]["status"] == "cancelled"
    assert (await second.call("GET", f"/v1/requests/{id}/stream"))[1]["error"]["code"] == "request_not_found"
    assert (await second.call("GET", f"/v1/requests/{id}", key=OTHER))[0] == 404


async def test_many_streams_on_one_connection_say_which_of_them_is_lost(house: House) -> None:
    await stream(house)
    await noted(house.replicas[0])
    await house.replicas[0].kill()
    status, told = await house.replicas[1].call("GET", "/v1/requests/events?follow=of-the-client,of-nobody")
    assert status == 200
    events = [json.loads(line[6:]) for line in told.splitlines() if line.startswith(b"data: ")]
    gone = {one["request_id"]: (one["status"], one["error"]["code"]) for one in events if "request_id" in one}
    assert gone == {"of-the-client": (410, "answer_lost"), "of-nobody": (404, "request_not_found")}


async def test_one_whose_process_lives_is_not_called_lost(house: House) -> None:
    first, second, _ = house.replicas
    id = f"{first.registry.tag}-is-not-remembered"
    first.store.ledger.put(Entry(time.time(), id, first.store.process, "client"))
    await soon(lambda: second.store.remembered("client", id))
    status, told = await second.call("GET", f"/v1/requests/{id}")
    assert (status, told["error"]["code"]) == (503, "peer_unreachable")


async def test_a_request_that_died_with_an_earlier_process_is_lost(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        store.ledger.put(Entry(time.time() - 9, "of-before", "dead", "client", model="m"))
    async with running("machines", tmp_path, 1) as house:
        (alone,) = house.replicas
        status, told = await alone.call("GET", "/v1/requests/of-before")
        assert (status, told["state"]) == (200, "lost")
        assert (await alone.call("POST", "/chat/cancel", {"request_id": "of-before"}))[1]["status"] == "lost"
        assert (await alone.call("GET", "/v1/requests/of-before", key=OTHER))[0] == 404
        assert (await alone.call("GET", "/v1/requests/of-nobody"))[0] == 404


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.admin and case.begin == "stream"])
async def test_somebody_elses_is_not_there_wherever_it_is(house: House, name: str) -> None:
    case = CASES[name]
    begun = await stream(house)
    for replica in house.replicas[:2]:
        for id in begun.ids.values():
            body = filled(case.body, id) if case.body is not None else None
            status, told = await replica.call(case.method, filled(case.path, id), body, key=OTHER)
            assert (status, told.get("status")) == (
                (200, "not_found") if case.body or "threads" in case.path else (404, None)
            )
    assert len(house.replicas[0].registry) == 1


@pytest.mark.parametrize("by", ["alias", "uid"])
async def test_a_stream_goes_on_from_anywhere(house: House, by: str) -> None:
    begun = await stream(house)
    response = await house.replicas[1].open("GET", RESUME.format(id=begun.ids[by]), headers={"Last-Event-ID": "1"})
    assert response.status == 200
    assert await response.content.readline() == b"id: 2\n"
    (running,) = house.replicas[0].registry
    running.stop("api")
    rest = await response.read()
    assert rest.rstrip().rpartition(b"\n\n")[2].startswith(b"id: ")
    assert b"event: done" in rest


async def test_a_stream_whose_owner_dies_ends_with_an_event_that_says_so(house: House) -> None:
    await stream(house)
    response = await house.replicas[1].open("GET", RESUME.format(id="of-the-client"))
    assert await response.content.readline()
    await house.replicas[0].kill()
    last = (await response.read()).rstrip().rpartition(b"\n\n")[2]
    assert last.startswith(b"event: done")
    assert b'"answer_lost"' in last


async def test_the_end_of_a_dead_replicas_stream_is_told_in_the_dialect_of_its_client(house: House) -> None:
    owner, other, *_ = house.replicas
    body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"X-Request-ID": "speaks-messages", "X-LLMProxy-On-Disconnect": "detach"}
    begun = await owner.open("POST", "/v1/messages", body, headers=headers)
    assert b"event: message_start" in await begun.content.readuntil(b"message_start")
    response = await other.open("GET", RESUME.format(id="speaks-messages"))
    assert await response.content.readline()
    await owner.kill()
    last = (await response.read()).rstrip().rpartition(b"\n\n")[2]
    assert last.startswith(b"event: error")
    assert b'"type":"error"' in last


@pytest.mark.parametrize("by", ["alias", "uid"])
async def test_a_stream_of_a_dead_replica_is_lost(house: House, by: str) -> None:
    begun = await stream(house)
    await noted(house.replicas[0])
    await house.replicas[0].kill()
    status, told = await house.replicas[1].call("GET", RESUME.format(id=begun.ids[by]))
    assert (status, told["error"]["code"]) == (410, "answer_lost")


async def test_a_threads_answer_of_a_dead_replica_comes_from_the_store_and_says_that_it_is_lost(house: House) -> None:
    owner, other, *_ = house.replicas
    _, made = await owner.call("POST", "/threads", {})
    await asked(owner, f"/threads/{made['id']}/messages/stream", id="in-a-thread")

    async def kept() -> bool:
        _, told = await other.call("GET", f"/threads/{made['id']}/messages")
        return bool(told["messages"][-1]["content"])

    await soon(kept)
    await owner.kill()
    status, told = await other.call("GET", RESUME.format(id="in-a-thread"))
    assert status == 200
    assert b"event: token" in told
    assert b'"answer_lost"' in told.rstrip().rpartition(b"\n\n")[2]


async def test_a_threads_answer_that_still_grows_elsewhere_comes_from_there(house: House) -> None:
    owner, other, *_ = house.replicas
    _, made = await owner.call("POST", "/threads", {})
    await asked(owner, f"/threads/{made['id']}/messages/stream", id="in-a-thread")
    response = await other.open("GET", RESUME.format(id="in-a-thread"))
    assert await response.content.readline() == b"id: 1\n"
    (running,) = owner.registry
    running.stop("api")
    assert b'"stopped":true' in await response.read()


async def test_an_alias_that_two_replicas_know_is_stopped_with_both(house: House) -> None:
    first, second, third = house.replicas
    await asked(first, id="used-twice")
    await asked(second, id="used-twice")
    status, told = await third.call("POST", "/v1/requests/used-twice/cancel")
    assert (status, told["state"]) == (200, "cancelled")
    async with asyncio.timeout(20):
        await asyncio.gather(*(one.closed.wait() for one in house.provider.exchanges))


async def test_by_our_own_id_one_of_them_is_stopped(house: House) -> None:
    first, second, third = house.replicas
    await asked(first, id="used-twice")
    await asked(second, id="used-twice")
    (mine,), (theirs,) = first.registry, second.registry
    status, told = await third.call("POST", f"/v1/requests/{mine.uid}/cancel")
    assert (status, told["uid"]) == (200, mine.uid)
    async with asyncio.timeout(20):
        await house.provider.exchanges[0].closed.wait()
    assert theirs.state == "running"


async def test_an_id_of_our_own_is_asked_of_its_replica_alone(house: House) -> None:
    first, second, third = house.replicas
    response = await asked(first)
    id = response.headers["X-Request-ID"]
    assert id.startswith(first.registry.tag)
    await third.kill()
    for peer in (one for one in second.peers.targets("client") if not _leads_to(one, first)):
        peer.state = "silent"
    assert (await second.call("GET", f"/v1/requests/{id}"))[1]["id"] == id


def _leads_to(peer: Any, replica: Replica) -> bool:
    return bool(peer.identity is not None and peer.identity.tag == replica.registry.tag)


async def test_an_id_that_only_looks_like_one_of_a_replica_is_found_all_the_same(house: House) -> None:
    first, second, third = house.replicas
    named_like = f"{first.registry.tag}-chosen"
    await asked(second, id=named_like)
    assert (await third.call("GET", f"/v1/requests/{named_like}"))[0] == 200
    assert (await third.call("POST", f"/v1/requests/{named_like}/cancel"))[1]["state"] == "cancelled"


async def test_responses_name_the_replica_that_keeps_them(house: House) -> None:
    begun = await background(house)
    assert begun.ids["uid"].startswith(f"resp_{house.replicas[0].registry.tag}")
    assert len(begun.ids["uid"]) == len("resp_") + 32
