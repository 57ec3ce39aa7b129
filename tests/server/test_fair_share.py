"""While one key floods, its own requests are refused and not another key's: whatever there is too little of."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
from aiohttp import ClientSession

from llmproxy.config import Config, Key, Provider, Server
from llmproxy.server.middleware.load_shedding import LATE, NO_MEMORY, LoadShedding
from llmproxy.server.middleware.turns import Turns
from llmproxy.testing import FakeProvider, chunk, sse
from llmproxy.testing.connection import Behaviour, Exchange
from llmproxy.testing.provider import SSE_TYPE
from tests.accounts.house import ANN, BOB, KEYS, ROOT, house
from tests.in_loop import served
from tests.waiting import soon

FIRST = sse(chunk({"role": "assistant", "content": "one "}), done=False)
LAST = sse(chunk({}, finish="stop"))
THREE = (Key("ann", ANN), Key("bob", BOB), Key("root", ROOT, admin=True))
HELD, QUICK = "near/held", "near/quick"


def answered(exchange: Exchange) -> Behaviour:
    if exchange.json["model"] == "held":
        return Behaviour([FIRST], headers=SSE_TYPE, ending="hang")
    return Behaviour([FIRST, LAST], headers=SSE_TYPE)


class Asking:
    """Asks with keys. What is held stays open until the end."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._clients: list[ClientSession] = []
        self.waiting: list[asyncio.Task[int]] = []

    async def ask(self, key: str, model: str = QUICK) -> int:
        """The status of the answer. It is read to its end, unless it is held."""
        client = ClientSession(headers={"Authorization": f"Bearer {key}"} if key else {})
        self._clients.append(client)
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": True}
        said = await client.post(f"{self._url}/v1/chat/completions", json=body)
        if model == QUICK or said.status != 200:
            await said.read()
        return said.status

    async def ask_together(self, key: str, count: int, model: str) -> Counter[int]:
        return Counter(await asyncio.gather(*(self.ask(key, model) for _ in range(count))))

    def wait(self, key: str) -> asyncio.Task[int]:
        task = asyncio.ensure_future(self.ask(key))
        self.waiting.append(task)
        return task

    async def close(self) -> None:
        for task in self.waiting:
            task.cancel()
        await asyncio.gather(*self.waiting, return_exceptions=True)
        for client in self._clients:
            await client.close()


@asynccontextmanager
async def asking(**server: object) -> AsyncIterator[Asking]:
    """A gateway in this loop."""
    async with FakeProvider(route=answered) as provider:
        near = Provider("near", "compatible", f"{provider.url}/v1", "x")
        async with served(Config(server=Server(**server), providers=(near,))) as there:  # type: ignore[arg-type]
            one = Asking(there.url)
            try:
                yield one
            finally:
                await one.close()


@contextmanager
def shedding(monkeypatch: pytest.MonkeyPatch, reason: str) -> Iterator[None]:
    """As long as the block lasts, as if the event loop stayed late or memory were short."""
    with monkeypatch.context() as patch:
        patch.setattr(LoadShedding, "refuses", lambda _, size: reason)
        yield


async def test_while_the_loop_is_late_the_key_that_floods_is_refused_and_another_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with asking(keys=THREE) as there:
        assert await there.ask(ROOT, HELD) == 200
        with shedding(monkeypatch, LATE):
            for _ in range(5):
                assert (await there.ask_together(ANN, 10, QUICK))[503] >= 8
                assert (await there.ask_together(BOB, 2, QUICK)) == {200: 2}
        assert (await there.ask_together(ANN, 10, QUICK)) == {200: 10}


async def test_while_the_loop_is_late_a_key_with_many_streams_gets_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(keys=THREE) as there:
        assert await there.ask_together(ANN, 20, HELD) == {200: 20}
        with shedding(monkeypatch, LATE):
            assert await there.ask_together(BOB, 5, HELD) == {200: 5}
            assert (await there.ask_together(ANN, 20, HELD))[503] >= 12, "until it has asked as often as the other"


@pytest.mark.parametrize("keys", [(), THREE[:1]], ids=["no key", "one key"])
async def test_where_nobody_else_may_ask_all_are_refused_while_the_loop_is_late(
    monkeypatch: pytest.MonkeyPatch, keys: tuple[Key, ...]
) -> None:
    async with asking(keys=keys) as there:
        assert await there.ask(ANN, HELD) == 200
        with shedding(monkeypatch, LATE):
            assert await there.ask_together(ANN, 5, QUICK) == {503: 5}


async def test_without_memory_all_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(keys=THREE) as there:
        assert await there.ask(ANN, HELD) == 200
        with shedding(monkeypatch, NO_MEMORY):
            assert await there.ask(BOB) == 503


async def test_a_waiting_request_of_the_key_with_most_gives_its_place_to_a_key_that_has_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twenty places, and nobody's turn comes."""
    monkeypatch.setattr(Turns, "begins", lambda _, inside: False)
    monkeypatch.setattr(Turns, "_arm", lambda _: None)
    turns = watched(monkeypatch)
    async with asking(keys=THREE, max_in_flight=20) as there:
        first = [there.wait(ANN) for _ in range(18)]
        await soon(waiting(turns, 18))
        assert await there.ask(ANN) == 503, "the last tenth is for others"
        second = [there.wait(BOB) for _ in range(5)]
        await soon(waiting(turns, 20, bob=5))
        await soon(ended(first, 3))
        assert [one.result() for one in first if one.done()] == [503] * 3
        assert not any(one.done() for one in second)
        third = [there.wait(ROOT) for _ in range(3)]
        await soon(waiting(turns, 20, root=3))
        assert not any(one.done() for one in (*second, *third))
        assert await there.ask(ANN) == 503


async def test_where_all_have_the_same_nobody_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Turns, "begins", lambda _, inside: False)
    monkeypatch.setattr(Turns, "_arm", lambda _: None)
    turns = watched(monkeypatch)
    async with asking(keys=THREE, max_in_flight=2) as there:
        there.wait(ANN), there.wait(BOB)
        await soon(waiting(turns, 2))
        assert [await there.ask(ANN), await there.ask(BOB)] == [503, 503]
        assert sum(turns[0].counts().values()) == 2


def watched(monkeypatch: pytest.MonkeyPatch) -> list[Turns]:
    """The turns of gateways that are made from now on."""
    made: list[Turns] = []
    before = Turns.__init__

    def init(turns: Turns) -> None:
        before(turns)
        made.append(turns)

    monkeypatch.setattr(Turns, "__init__", init)
    return made


def ended(tasks: list[asyncio.Task[int]], count: int):  # type: ignore[no-untyped-def]  # a function for `soon`
    async def look() -> bool:
        return sum(one.done() for one in tasks) == count

    return look


def waiting(turns: list[Turns], count: int, **least: int):  # type: ignore[no-untyped-def]  # a function for `soon`
    async def look() -> bool:
        counts = turns[0].counts()
        return len(turns[0]) == count and all(counts.get(owner, 0) >= least[owner] for owner in least)

    return look


async def test_a_key_that_has_less_than_its_share_may_come_over_a_connection_above_the_limit() -> None:
    async with house(f"[server]\nmax_connections = 10\n{KEYS}", route=answered) as there:
        one = Asking(there.gateway.url)
        try:
            assert await one.ask_together(ANN, 10, HELD) == {200: 10}
            assert await one.ask(BOB, HELD) == 200
            assert await one.ask(ANN, HELD) == 503
            with suppress(OSError):  # those far above the limit are closed at once
                assert (await one.ask_together(BOB, 30, HELD))[503] > 0
            async with ClientSession() as probe, probe.get(f"{there.gateway.url}/livez") as said:
                assert said.status == 200
        finally:
            await one.close()
