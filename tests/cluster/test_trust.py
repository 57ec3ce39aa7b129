"""What somebody who reaches a replica over the network, but does not know the secret, can and cannot do."""

from __future__ import annotations

import base64
import re
import time
from dataclasses import replace
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession, web
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.cluster.peer import HEADER, HELLO, PROOF, STALE, Link, Peer, Question, Unreachable
from llmproxy.cluster.signature import WINDOW, Claims, ReplayGuard, digest, read, signed
from tests.cluster.house import OPERATOR, SECRET, House, Replica, asked

KEY = SECRET.encode()
NOW = Claims(at=1000.0, nonce="n", to="them", caller="client", admin=True, body=digest(b""), sender="us")


def claims(replica: Replica, **changes: Any) -> Claims:
    """Valid ones of a peer that acts for an administrator."""
    usual = Claims(time.time(), "once", replica.peers.own.instance, "operator", True, digest(b""), "peer")
    return replace(usual, **changes)


async def send(replica: Replica, header: str, path: str = "/v1/requests", method: str = "GET") -> tuple[int, object]:
    async with ClientSession() as client, client.request(method, replica.url + path, headers={HEADER: header}) as told:
        return told.status, {"stale": STALE in told.headers}


# The signature itself


def test_what_was_signed_is_read_again() -> None:
    assert read(KEY, "GET", "/v1/requests?all=true", signed(KEY, "GET", "/v1/requests?all=true", NOW)) == NOW


@given(st.text(max_size=300))
def test_nothing_that_is_made_up_is_taken(made_up: str) -> None:
    assert read(KEY, "GET", "/", made_up) is None
    assert read(KEY, "GET", "/", f"1.{made_up}") is None


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_byte_of_it_can_be_changed(at: int, by: int) -> None:
    whole = signed(KEY, "POST", "/v1/requests/an-id/cancel", NOW)
    place = at % len(whole)
    other = whole[:place] + chr(ord(whole[place]) ^ by) + whole[place + 1 :]
    assert read(KEY, "POST", "/v1/requests/an-id/cancel", other) is None


@pytest.mark.parametrize(
    ("secret", "method", "target"),
    [(b"another secret", "GET", "/a"), (KEY, "POST", "/a"), (KEY, "GET", "/b"), (KEY, "GET", "/a?all=true")],
)
def test_it_holds_for_one_method_target_and_secret(secret: bytes, method: str, target: str) -> None:
    assert read(secret, method, target, signed(KEY, "GET", "/a", NOW)) is None


def test_it_counts_once_and_for_half_a_minute() -> None:
    fresh = ReplayGuard()
    assert fresh.take(NOW, 1000.0)
    assert not fresh.take(NOW, 1001.0)
    assert not fresh.take(replace(NOW, nonce="old"), 1000.0 + WINDOW + 1)
    assert not fresh.take(replace(NOW, nonce="early"), 1000.0 - WINDOW - 1)


def test_a_used_one_is_known_for_as_long_as_it_could_count() -> None:
    fresh = ReplayGuard()
    early = replace(NOW, at=1000.0 + WINDOW)
    assert fresh.take(early, 1000.0)
    assert not fresh.take(early, 1000.0 + 2 * WINDOW)


def test_what_is_remembered_of_used_ones_does_not_grow() -> None:
    fresh = ReplayGuard()
    for second in range(10_000):
        assert fresh.take(replace(NOW, at=float(second), nonce=str(second)), float(second))
    assert len(fresh._seen) == len(fresh._until) <= 2 * WINDOW + 2


# At a replica


async def test_a_peer_acts_for_the_caller_that_it_names(house: House) -> None:
    replica = house.replicas[0]
    if house.transport == "workers":
        pytest.skip("workers are only served on their own sockets")
    header = signed(KEY, "GET", "/v1/requests", claims(replica))
    assert (await send(replica, header))[0] == 200


async def test_over_the_network_nobody_passes_for_a_worker(house: House) -> None:
    if house.transport == "machines":
        pytest.skip("these are machines")
    replica = house.replicas[0]
    assert (await send(replica, signed(KEY, "GET", "/v1/requests", claims(replica))))[0] == 401


@pytest.mark.parametrize("header", ["", "guessed", SECRET, "1..", "1.e30=." + 64 * "0", "9" * 5000])
async def test_who_does_not_know_the_secret_is_an_ordinary_client(house: House, header: str) -> None:
    for replica in house.replicas:
        assert (await send(replica, header))[0] == 401
        status, _ = await replica.call("GET", "/v1/requests", headers={HEADER: header})
        assert status == 200, "its own key counts as ever"


async def test_an_ordinary_client_with_that_header_is_served_as_ever(house: House) -> None:
    await asked(house.replicas[0], id="of-the-client")
    status, _ = await house.replicas[1].call("GET", "/v1/requests/of-the-client", headers={HEADER: "guessed"})
    assert status == 200, "it is looked for elsewhere, too"
    _, metrics = await house.replicas[1].call("GET", "/metrics", headers={HEADER: "guessed"})
    assert b"# TYPE llmproxy_in_flight gauge" in metrics


CHANGED: dict[str, dict[str, Any]] = {
    "used before": {},
    "too old": {"at": -60},
    "of the future": {"at": 60},
    "for another replica": {"to": "else"},
}


@pytest.mark.parametrize("why", CHANGED)
async def test_a_signature_that_does_not_count_is_refused_and_said(house: House, why: str) -> None:
    if house.transport == "workers":
        pytest.skip("workers are only served on their own sockets")
    replica = house.replicas[0]
    changes = dict(CHANGED[why])
    if "at" in changes:
        changes["at"] = time.time() + changes["at"]
    header = signed(KEY, "GET", "/v1/requests", claims(replica, **changes))
    if why == "used before":
        assert (await send(replica, header))[0] == 200
    assert await send(replica, header) == (409, {"stale": True})


async def test_a_body_that_was_not_signed_is_refused(house: House) -> None:
    if house.transport == "workers":
        pytest.skip("workers are only served on their own sockets")
    await asked(house.replicas[0])
    replica = house.replicas[0]
    header = signed(KEY, "POST", "/v1/requests/cancel", claims(replica, body=digest(b'{"model":"else"}')))
    async with replica.client.post(f"{replica.url}/v1/requests/cancel", json={}, headers={HEADER: header}) as told:
        assert told.status == 409
    assert len(replica.registry) == 1


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/stream", "/api/keys", "/threads"])
async def test_peers_may_ask_only_what_the_table_says(house: House, path: str) -> None:
    if house.transport == "workers":
        pytest.skip("workers are only served on their own sockets")
    replica = house.replicas[0]
    header = signed(KEY, "POST", path, claims(replica))
    assert (await send(replica, header, path, "POST"))[0] == 401


async def test_who_it_is_is_told_to_peers_only(house: House) -> None:
    for replica in house.replicas:
        assert (await replica.call("GET", HELLO, key=OPERATOR))[0] == 404


async def test_an_impostor_at_a_peers_address_learns_nothing(house: House) -> None:
    """It is asked who it is, and as it cannot say so it is never asked on anybody's behalf."""
    seen: list[dict[str, object]] = []

    async def take(request: web.Request) -> web.Response:
        seen.append({"path": request.path, "header": request.headers.get(HEADER, "")})
        told = orjson.dumps(house.replicas[0].peers.own.as_json(time.time()))
        return web.Response(body=told, headers={PROOF: 64 * "0"}, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    peer = Peer(Link(f"http://127.0.0.1:{runner.addresses[0][1]}"), KEY, house.replicas[0].peers.own)
    try:
        with pytest.raises(Unreachable) as met:
            await peer.ask(Question("GET", "/v1/requests/an-id", {}, b"", "client", True))
        assert met.value.state == "strange"
    finally:
        await peer.close()
        await runner.cleanup()
    assert {one["path"] for one in seen} == {HELLO}
    said = base64.urlsafe_b64decode(str(seen[0]["header"]).split(".")[1])
    assert b"client" not in said
    assert SECRET.encode() not in said


async def test_the_secret_is_never_sent(house: House) -> None:
    header = signed(KEY, "GET", "/", NOW)
    assert SECRET not in header
    assert not re.search(SECRET, base64.urlsafe_b64decode(header.split(".")[1]).decode())
