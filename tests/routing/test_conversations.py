"""The turns of a conversation meet one of several equal servers, in every dialect, and the answer says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import pytest

from llmproxy.config import Alias, Config, Limits, Provider
from llmproxy.testing import Behaviour, FakeProvider, chunk, completion, sse
from llmproxy.testing.connection import Exchange
from llmproxy.testing.samples import as_bytes
from tests.in_loop import Served, served

STREAM = sse(chunk({"content": "Hi"}), chunk({}, finish="stop"))
Json = dict[str, Any]


def answering(exchange: Exchange) -> Behaviour | None:
    if exchange.method != "POST":
        return None
    if exchange.json.get("stream"):
        return Behaviour([STREAM], headers={"content-type": "text/event-stream"})
    return Behaviour([as_bytes(completion())], headers={"content-type": "application/json"}, framing="length")


class House(NamedTuple):
    """Three equal servers, and the gateway before them."""

    gateway: Served
    servers: list[FakeProvider]

    async def ask(self, path: str, body: Json, **headers: str) -> tuple[str, str]:
        """Who answered, and what is said of the route."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.gateway.client.post(self.gateway.url + path, json=body, headers=named) as answer:
            assert answer.status == 200, await answer.text()
            return answer.headers["X-LLMProxy-Provider"], answer.headers["X-LLMProxy-Route"]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(FakeProvider(route=answering)) for _ in range(3)]
        providers = tuple(
            Provider(name, "compatible", f"{server.url}/v1", models=("m",), list_models=False)
            for name, server in zip("abc", servers, strict=True)
        )
        farm = Alias("farm", weights={"a/m": 1, "b/m": 1, "c/m": 1})
        config = Config(providers=providers, aliases={"farm": farm}, limits=Limits(retries=0))
        yield House(await stack.enter_async_context(served(config)), servers)


def chat(*said: str) -> Json:
    turns = [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(said)]
    return {"model": "farm", "messages": [{"role": "system", "content": "Be brief."}, *turns]}


def message(*said: str) -> Json:
    return {**chat(*said), "system": "Be brief.", "messages": chat(*said)["messages"][1:], "max_tokens": 9}


def response(*said: str) -> Json:
    return {"model": "farm", "instructions": "Be brief.", "input": chat(*said)["messages"][1:], "store": False}


def contents(*said: str) -> Json:
    turns = [{"role": ("user", "model")[number % 2], "parts": [{"text": text}]} for number, text in enumerate(said)]
    return {"contents": turns}


DIALECTS = [
    pytest.param("/v1/chat/completions", chat, id="chat"),
    pytest.param("/v1/messages", message, id="messages"),
    pytest.param("/v1/responses", response, id="responses"),
    pytest.param("/v1beta/models/farm:generateContent", contents, id="gemini"),
]


@pytest.mark.parametrize(("path", "body"), DIALECTS)
async def test_every_turn_goes_where_the_first_went_and_conversations_are_spread(
    house: House, path: str, body: Any
) -> None:
    homes = set()
    for number in range(12):
        begun = f"Question {number}"
        home, route = await house.ask(path, body(begun))
        turns = [(begun, "Hi", "More"), (begun, "Hi", "More", "Hi", "And more")]
        assert {(await house.ask(path, body(*said)))[0] for said in turns} == {home}
        assert route == f"farm -> {home}/m (conversation)"
        homes.add(home)
    assert homes == set("abc")


@pytest.mark.parametrize("stream", [True, False])
async def test_streams_and_whole_answers_belong_to_one_conversation(house: House, stream: bool) -> None:
    home, _ = await house.ask("/v1/chat/completions", chat("Hi"))
    assert (await house.ask("/v1/chat/completions", {**chat("Hi", "Yes?", "Bye"), "stream": stream}))[0] == home


async def test_a_client_may_wish_for_a_draw_and_the_route_says_nothing_of_a_conversation(house: House) -> None:
    off = {"X_LLMProxy_Affinity": "off"}
    found = [await house.ask("/v1/chat/completions", chat("Hi"), **off) for _ in range(30)]
    assert {home for home, _ in found} == set("abc")
    assert all(route == f"farm -> {home}/m" for home, route in found)


@pytest.mark.parametrize(("path", "body"), DIALECTS)
async def test_a_wish_that_is_neither_on_nor_off_is_told(house: House, path: str, body: Any) -> None:
    headers = {"X-LLMProxy-Affinity": "maybe"}
    async with house.gateway.client.post(house.gateway.url + path, json=body("Hi"), headers=headers) as answer:
        assert answer.status == 400
        assert "X-LLMProxy-Affinity is on or off." in await answer.text()


async def test_a_server_with_more_than_its_share_gives_way_until_it_has_less(house: House) -> None:
    """8 requests are always taken; what they leave behind is nothing."""
    home, _ = await house.ask("/v1/chat/completions", chat("Hi"))
    server = house.servers["abc".index(home)]
    server.route = lambda exchange: Behaviour([], ending="hang") if exchange.method == "POST" else None
    url = house.gateway.url + "/v1/chat/completions"
    asking = [asyncio.create_task(house.gateway.client.post(url, json=chat("Hi"))) for _ in range(8)]
    for _ in asking:
        await server.received()
    away, route = await house.ask("/v1/chat/completions", chat("Hi"))
    assert away != home
    assert route == f"farm -> {away}/m (conversation; {home}/m is busy)"
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await house.gateway.registry.idle()
    server.route = answering
    assert (await house.ask("/v1/chat/completions", chat("Hi")))[0] == home


async def test_only_the_conversations_of_a_server_that_is_gone_move_and_all_come_back(house: House) -> None:
    async def homes() -> list[str]:
        return [(await house.ask("/v1/chat/completions", chat(f"Question {one}")))[0] for one in range(24)]

    before = await homes()
    gone = house.servers[1]
    gone.route = lambda exchange: Behaviour([b"{}"], 503, {"content-type": "application/json"}, framing="length")
    during = await homes()
    assert [one for one in during if one == "b"] == []
    assert all(then == now for then, now in zip(before, during, strict=True) if then != "b")
    assert {now for then, now in zip(before, during, strict=True) if then == "b"} == {"a", "c"}
