"""A key that floods takes no other key's turn: counted in requests and in turns of the event loop, never in time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.config import Config, Key, Provider, Server
from llmproxy.core.errors import GatewayError
from llmproxy.server.middleware.turns import AT_ONCE, FEW, Turns, Waiting
from llmproxy.testing import chunk, sse
from tests.accounts.house import ANN, ASK, BOB, KEYS, ROOT, House, house
from tests.in_loop import Served, served
from tests.waiting import soon

FIRST = sse(chunk({"role": "assistant", "content": "one "}), done=False)
OWNERS = st.sampled_from("abc")


@given(st.lists(OWNERS, max_size=40))
def test_keys_take_turns_and_each_keeps_its_order(arrivals: list[str]) -> None:
    waiting: Waiting[tuple[str, int]] = Waiting()
    for number, owner in enumerate(arrivals):
        waiting.add(owner, (owner, number), float(number))
    served = []
    while (one := waiting.next()) is not None:
        served.append(one)
    assert sorted(number for _, number in served) == list(range(len(arrivals)))
    for owner in "abc":
        numbers = [number for by, number in served if by == owner]
        assert numbers == sorted(numbers)
    left = Counter(arrivals)
    for at, (owner, _) in enumerate(served):
        others = [other for other in left if other != owner and left[other]]
        following = [by for by, _ in served[at + 1 :]]
        left[owner] -= 1
        for other in others:  # each has a turn before this one has another
            assert owner not in following[: following.index(other)]


@given(st.lists(OWNERS, max_size=20), st.integers(0, 20))
def test_what_has_waited_too_long_is_taken_out_and_nothing_else(arrivals: list[str], before: int) -> None:
    waiting: Waiting[int] = Waiting()
    for number, owner in enumerate(arrivals):
        waiting.add(owner, number, float(number))
    assert sorted(waiting.since_before(before)) == list(range(min(before, len(arrivals))))
    assert sorted(iter(waiting.next, None)) == list(range(before, len(arrivals)))
    assert not waiting


def test_one_that_leaves_takes_nobody_along() -> None:
    waiting: Waiting[int] = Waiting()
    for number in range(4):
        waiting.add("a", number, 0.0)
    waiting.remove("a", 1)
    waiting.remove("b", 1)
    assert list(iter(waiting.next, None)) == [0, 2, 3]
    waiting.remove("a", 3)


class Flood:
    """Requests of two keys that begin by turns; what each does afterwards is over at once."""

    def __init__(self, patience: float = 0.0) -> None:
        self.turns = Turns()
        self.patience = patience
        self.begun: list[str] = []

    async def ask(self, owner: str) -> None:
        if not self.turns.begins(FEW):
            await self.turns.wait(owner, self.patience, asyncio.get_running_loop().create_future())
        self.begun.append(owner)


async def test_another_keys_request_begins_in_the_next_turn_of_the_loop() -> None:
    flood = Flood()
    tasks = [asyncio.ensure_future(flood.ask("a")) for _ in range(1000)]
    await asyncio.sleep(0)
    tasks.append(asyncio.ensure_future(flood.ask("b")))
    await asyncio.gather(*tasks)
    assert flood.begun.index("b") <= 3 * AT_ONCE
    assert len(flood.begun) == 1001


async def test_what_fits_into_one_turn_waits_for_nothing() -> None:
    turns = Turns()
    for _ in range(3):
        assert all(turns.begins(FEW) for _ in range(AT_ONCE))
        assert not turns.begins(FEW)
        await asyncio.sleep(0)


async def test_a_loop_that_has_nothing_to_begin_is_left_alone() -> None:
    flood = Flood()
    await flood.ask("a")
    for _ in range(3):
        await asyncio.sleep(0)
    assert not flood.turns.busy


async def test_who_leaves_while_waiting_takes_no_turn() -> None:
    flood = Flood()
    tasks = [asyncio.ensure_future(flood.ask("a")) for _ in range(40)]
    await asyncio.sleep(0)
    for task in tasks[AT_ONCE:30]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(one, asyncio.CancelledError) for one in done) == 30 - AT_ONCE
    assert len(flood.begun) == 40 - (30 - AT_ONCE)
    assert not flood.turns._waiting


async def test_what_waits_too_long_is_refused_by_its_age() -> None:
    flood = Flood(patience=0.001)
    loop = asyncio.get_running_loop()
    tasks = [asyncio.ensure_future(flood.ask("a")) for _ in range(100)]
    await asyncio.sleep(0)
    stands_still_until = loop.time() + 0.002
    while loop.time() < stands_still_until:  # as by a flood that takes all of a turn
        pass
    done = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [one for one in done if isinstance(one, GatewayError)]
    assert {(one.status, one.code, one.headers["Retry-After"]) for one in refused} == {(503, "overloaded", "1")}
    assert len(refused) + len(flood.begun) == 100
    assert len(refused) >= 100 - 2 * AT_ONCE


async def test_few_requests_wait_for_nothing_unless_others_do() -> None:
    turns = Turns()
    assert all(turns.begins(FEW - 1) for _ in range(10 * AT_ONCE))
    asking = asyncio.ensure_future(turns.wait("a", 0.0, asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    assert not turns.begins(FEW - 1)
    await asking


async def test_what_counts_as_a_request_waits_for_the_turn_of_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[tuple[str, float]] = []

    async def wait(_: Turns, owner: str, patience: float, turn: asyncio.Future[None]) -> None:
        waited.append((owner, patience))

    monkeypatch.setattr(Turns, "begins", lambda _, inside: False)
    monkeypatch.setattr(Turns, "wait", wait)
    keys = (Key("ann", ANN, admin=True), Key("bob", BOB))
    demo = Provider("demo", "demo", "", "")
    async with served(Config(server=Server(keys=keys, max_lag=3.0), providers=(demo,))) as there:
        bearer = {"Authorization": f"Bearer {ANN}"}
        for path in ("/v1/models", "/v1/requests"):
            async with there.client.get(f"{there.url}{path}", headers=bearer) as said:
                assert said.status == 200
        body = {**ASK, "model": "demo/hello"}
        async with there.client.post(f"{there.url}/v1/chat/completions", json=body, headers=bearer) as said:
            assert said.status == 200
    assert waited == [("ann", 3.0)]


async def test_a_client_that_leaves_while_it_waits_leaves_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async with waiting_request(monkeypatch) as (there, asking):
        asking.cancel()

        async def told() -> bool:
            bearer = {"Authorization": f"Bearer {ROOT}"}
            async with there.client.get(f"{there.url}/v1/requests", headers=bearer) as said:
                recent = (await said.json())["recent"]
            return [(one["id"], one["status"], one["code"]) for one in recent] == [
                ("waits-1234", 499, "request_cancelled")
            ]

        await soon(told)


@pytest.mark.parametrize("asked_by", [ANN, ROOT], ids=["its key", "an administrator"])
async def test_a_cancel_by_id_ends_what_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch, asked_by: str) -> None:
    async with waiting_request(monkeypatch) as (there, asking):
        cancel = f"{there.url}/v1/requests/waits-1234/cancel"
        async with there.client.post(cancel, headers={"Authorization": f"Bearer {asked_by}"}) as said:
            told = await said.json()
        assert (said.status, told["state"], told["attempts"]) == (200, "cancelled", 0)
        assert await asking == (499, "request_cancelled")
        async with there.client.post(cancel, headers={"Authorization": f"Bearer {asked_by}"}) as again:
            assert await again.json() == told


async def test_another_keys_cancel_finds_nothing_and_the_request_waits_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with waiting_request(monkeypatch) as (there, asking):
        cancel = f"{there.url}/v1/requests/waits-1234/cancel"
        async with there.client.post(cancel, headers={"Authorization": f"Bearer {BOB}"}) as said:
            assert said.status == 404
        assert not asking.done()


async def test_a_request_whose_key_is_revoked_while_it_waits_does_not_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with waiting_request(monkeypatch) as (there, asking):
        there.accounts.keys.configure([Key("bob", BOB), Key("root", ROOT)])
        there.registry._arriving[("ann", "waits-1234")].begin()
        assert await asking == (401, "invalid_api_key")


@asynccontextmanager
async def waiting_request(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[Served, asyncio.Task[tuple[int, str]]]]:
    """Ann's request `waits-1234`, whose turn does not come."""
    keys = (Key("ann", ANN), Key("bob", BOB), Key("root", ROOT, admin=True))
    config = Config(server=Server(keys=keys), providers=(Provider("demo", "demo", "", ""),))
    monkeypatch.setattr(Turns, "begins", lambda _, inside: False)
    monkeypatch.setattr(Turns, "_arm", lambda _: None)
    async with served(config) as there:

        async def ask() -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {ANN}", "X-Request-ID": "waits-1234"}
            url = f"{there.url}/v1/chat/completions"
            async with there.client.post(url, json={**ASK, "model": "demo/hello"}, headers=headers) as said:
                return said.status, (await said.json())["error"]["code"]

        asking = asyncio.ensure_future(ask())

        async def arrived() -> bool:
            return bool(there.registry._arriving)

        await soon(arrived)
        yield there, asking
        asking.cancel()
        await asyncio.wait([asking])


async def held(there: House, key: str) -> tuple[int, ClientSession]:
    """A stream that stays open, or the status of its refusal."""
    client = ClientSession(headers={"Authorization": f"Bearer {key}"})
    said = await client.post(f"{there.gateway.base_url}/chat/completions", json={**ASK, "stream": True})
    return said.status, client


async def test_the_last_places_are_for_keys_that_have_less_than_their_share() -> None:
    async with house(f"[server]\nmax_in_flight = 20\n{KEYS}") as there:
        for _ in range(20):
            there.provider.hangs(FIRST)
        opened = [await held(there, ANN) for _ in range(19)]
        assert [status for status, _ in opened] == [200] * 18 + [503]
        other = [await held(there, BOB) for _ in range(3)]
        assert [status for status, _ in other] == [200, 200, 503]
        for _, client in (*opened, *other):
            await client.close()

        async def idle() -> bool:
            return bool((await there.call("GET", "/v1/requests", ROOT))[1]["data"] == [])

        await soon(idle)


@pytest.mark.parametrize("keys", ["", f'[[server.keys]]\nname = "ann"\nsecret = "{ANN}"\n'], ids=["no key", "one key"])
async def test_who_is_alone_may_have_all_places(keys: str) -> None:
    async with house(f"[server]\nmax_in_flight = 10\n{keys}") as there:
        for _ in range(10):
            there.provider.hangs(FIRST)
        opened = [await held(there, ANN) for _ in range(11)]
        assert [status for status, _ in opened] == [200] * 10 + [503]
        for _, client in opened:
            await client.close()
