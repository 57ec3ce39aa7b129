"""The flight record says what a request did and when, to its owner and to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from llmproxy.config import Alias, Breaker, Config, Key, Limits, Provider, Server
from llmproxy.core.flight import Gaps
from llmproxy.core.trace import Trace
from llmproxy.testing import Behaviour, FakeProvider, chunk, sse
from llmproxy.testing.provider import SSE_TYPE
from tests.in_loop import Served, served
from tests.waiting import soon

Json = dict[str, Any]
HELLO = sse(chunk({"role": "assistant", "content": "Hello"}), chunk({}, finish="stop"))
FIRST = sse(chunk({"role": "assistant", "content": "Hello"}), done=False)
ID = "the-one-request"
KEYS = (Key("anna", "secret-of-anna"), Key("ben", "secret-of-ben"), Key("root", "secret-of-root", admin=True))
PRICES = {"p/*": {"input": 1.0, "output": 2.0}}


def config(port: int, keys: tuple[Key, ...] = (), max_concurrent: int | None = None, **limits: Any) -> Config:
    places = [
        Provider(
            name,
            "compatible",
            base_url=f"http://127.0.0.1:{port}/v1",
            list_models=False,
            breaker=Breaker(failures=1000, samples=1000),
            max_concurrent=max_concurrent,
        )
        for name in ("p", "q")
    ]
    chain = {"both": Alias("both", chain=("p/one", "q/two"))}
    return Config(
        server=Server(keys=keys), limits=Limits(**limits), providers=tuple(places), aliases=chain, prices=PRICES
    )


class House:
    def __init__(self, gateway: Served, provider: FakeProvider) -> None:
        self.gateway = gateway
        self.provider = provider

    def ask(
        self, model: str = "p/one", id: str = ID, key: str = "", **body: Any
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        asked = {"model": model, "stream": True, "messages": [{"role": "user", "content": "?"}], **body}
        headers = {"X-Request-ID": id, **bearer(key)}
        return self.gateway.client.post(f"{self.gateway.url}/v1/chat/completions", json=asked, headers=headers)

    async def trace(self, id: str = ID, key: str = "") -> Json:
        status, told = await self.get(f"/v1/requests/{id}/trace", key)
        assert status == 200, told
        return told

    async def get(self, path: str, key: str = "") -> tuple[int, Json]:
        async with self.gateway.client.get(self.gateway.url + path, headers=bearer(key)) as answer:
            return answer.status, await answer.json()

    async def ended(self, id: str = ID) -> Json:
        async def look() -> Json | None:
            told = await self.trace(id)
            return told if told["end_ms"] is not None else None

        return await soon(look)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


@asynccontextmanager
async def house(**how: Any) -> AsyncIterator[House]:
    async with FakeProvider() as provider, served(config(provider.port, **how)) as gateway:
        yield House(gateway, provider)


def ordered(attempt: Json) -> bool:
    names = ("start_ms", "sent_ms", "headers_ms", "first_frame_ms", "end_ms")
    times = [attempt[name] for name in names if attempt[name] is not None]
    return times == sorted(times)


async def test_an_answer_has_its_times_in_order_and_its_sizes_on_both_sides() -> None:
    async with house() as here:
        here.provider.streams(HELLO)
        async with here.ask() as answer:
            read = await answer.read()
        told = await here.ended()
        [attempt] = told["attempts"]
        assert ordered(attempt)
        assert None not in (attempt["sent_ms"], attempt["headers_ms"], attempt["first_frame_ms"], attempt["end_ms"])
        assert (attempt["why"], attempt["state"], attempt["status"]) == ("first", "answered", 200)
        assert (attempt["reused"], attempt["asks"]) == (False, 1)
        assert attempt["bytes"]["out"] == len(here.provider.last.body)
        assert attempt["bytes"]["in"] > len(HELLO)
        assert told["bytes"]["in"] > 50
        assert told["bytes"]["out"] > len(read)
        assert told["stop"] is None
        assert told["content"] is None


async def test_a_second_request_takes_the_connection_that_is_there() -> None:
    async with house() as here:
        for id in ("first-of-two", "second-of-two"):
            here.provider.streams(HELLO)
            async with here.ask(id=id) as answer:
                await answer.read()
            told = await here.ended(id)
        assert told["attempts"][0]["reused"] is True


async def test_a_json_answer_has_the_size_that_the_client_got() -> None:
    async with house() as here:
        here.provider.answers({"object": "chat.completion", "choices": [{"message": {"content": "Hi"}}]})
        async with here.ask(stream=False) as answer:
            body = await answer.read()
        assert (await here.ended())["bytes"]["out"] == len(body)


async def test_a_retry_is_told_with_the_wait_before_it() -> None:
    async with house() as here:
        here.provider.fails(503)
        here.provider.streams(HELLO)
        async with here.ask() as answer:
            await answer.read()
        told = await here.ended()
        first, second = told["attempts"]
        assert (first["why"], first["state"], first["status"]) == ("first", "failed", 503)
        assert (second["why"], second["state"]) == ("retry", "answered")
        waits = [one for one in told["waits"] if one["kind"] == "backoff"]
        assert all(first["end_ms"] <= one["start_ms"] <= one["end_ms"] <= second["start_ms"] for one in waits)


async def test_a_failover_is_no_retry() -> None:
    async with house(retries=0) as here:
        here.provider.fails(503)
        here.provider.streams(HELLO)
        async with here.ask("both") as answer:
            await answer.read()
        told = await here.ended()
        assert [(one["why"], one["provider"]) for one in told["attempts"]] == [("first", "p"), ("failover", "q")]


async def test_a_hedge_runs_beside_the_slow_one() -> None:
    async with house(hedge=0.05) as here:
        here.provider.hangs()
        here.provider.streams(HELLO)
        async with here.ask("both") as answer:
            await answer.read()
        told = await here.ended()
        slow, quick = told["attempts"]
        assert (slow["state"], quick["why"], quick["state"]) == ("lost_race", "hedge", "answered")
        assert slow["start_ms"] < quick["start_ms"] < slow["end_ms"]


async def test_a_wait_for_a_place_is_a_queue() -> None:
    async with house(max_concurrent=1) as here:
        here.provider.hangs(FIRST)
        here.provider.streams(HELLO)
        async with here.ask(id="holds-the-place") as holds:
            await holds.content.readany()
            waiting = asyncio.ensure_future(_whole(here.ask()))
            told = await soon(lambda: _queued(here))
            assert told["waits"] == [{**told["waits"][0], "kind": "queue", "end_ms": None}]
            assert told["attempts"] == []
            await here.gateway.client.post(f"{here.gateway.url}/v1/requests/holds-the-place/cancel")
        await waiting
        told = await here.ended()
        assert told["waits"][0]["end_ms"] <= told["attempts"][0]["start_ms"]


async def _queued(here: House) -> Json | None:
    status, told = await here.get(f"/v1/requests/{ID}/trace")
    return told if status == 200 and told["waits"] else None


async def _whole(asking: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> bytes:
    async with asking as answer:
        return await answer.read()


async def test_a_silence_in_the_answer_is_a_gap_with_its_place() -> None:
    async with house() as here:
        here.provider.does(Behaviour([FIRST, HELLO], headers=SSE_TYPE, every=0.7))
        async with here.ask() as answer:
            await answer.read()
        told = await here.ended()
        [attempt] = told["attempts"]
        [gap] = attempt["gaps"]["longest"]
        assert attempt["gaps"]["count"] == 1
        assert attempt["gaps"]["ms"] == gap["ms"] > 500
        assert attempt["first_frame_ms"] - 5 <= gap["start_ms"] < attempt["end_ms"]


def test_of_many_gaps_the_longest_are_kept() -> None:
    gaps = Gaps()
    for number in range(100):
        gaps.add(1.0 + number)
    assert gaps.count == 100
    assert sorted(seconds for seconds, _ in gaps.longest) == [1.0 + number for number in range(92, 100)]


async def test_a_stop_says_how_fast_it_was_and_what_it_saved_at_most() -> None:
    async with house() as here:
        here.provider.hangs(FIRST)
        async with here.ask(max_tokens=1000) as answer:
            await answer.content.readany()
            await here.gateway.client.post(f"{here.gateway.url}/v1/requests/{ID}/cancel")
        stop = (await here.ended())["stop"]
        assert stop["by"] == "api"
        assert stop["closed_ms"] >= 0
        assert stop["asked_provider"] is True
        assert stop["estimated"] is True
        left = stop["tokens_not_written_at_most"]
        assert left == 1000 - 2  # "Hello" is estimated at two tokens
        assert stop["cost_not_spent_at_most"] == pytest.approx(left * 2e-6)


async def test_what_a_stop_saved_is_not_known_where_the_client_set_no_limit() -> None:
    async with house() as here:
        here.provider.hangs(FIRST)
        async with here.ask() as answer:
            await answer.content.readany()
            await here.gateway.client.post(f"{here.gateway.url}/v1/requests/{ID}/cancel")
        stop = (await here.ended())["stop"]
        assert stop["tokens_not_written_at_most"] is None
        assert stop["cost_not_spent_at_most"] is None


async def test_money_is_left_out_where_no_price_is_known() -> None:
    async with house() as here:
        here.provider.hangs(FIRST)
        async with here.ask("q/one", max_tokens=1000) as answer:
            await answer.content.readany()
            await here.gateway.client.post(f"{here.gateway.url}/v1/requests/{ID}/cancel")
        stop = (await here.ended())["stop"]
        assert stop["tokens_not_written_at_most"] == 998
        assert stop["cost_not_spent_at_most"] is None


async def test_a_foreign_trace_is_as_unknown_as_none() -> None:
    async with house(keys=KEYS) as here:
        here.provider.streams(HELLO)
        async with here.ask(key="secret-of-anna") as answer:
            await answer.read()
        foreign = await here.get(f"/v1/requests/{ID}/trace", "secret-of-ben")
        unknown = await here.get("/v1/requests/of-nobody-at-all/trace", "secret-of-ben")
        assert foreign[0] == unknown[0] == 404
        assert foreign[1]["error"]["code"] == unknown[1]["error"]["code"] == "request_not_found"
        for key in ("secret-of-anna", "secret-of-root"):
            assert (await here.trace(key=key))["owner"] == "anna"


async def test_a_trace_is_forgotten_with_its_request() -> None:
    async with house(remembered=1) as here:
        for id in ("first-of-two", "second-of-two"):
            here.provider.streams(HELLO)
            async with here.ask(id=id) as answer:
                await answer.read()
            await here.ended(id)
        assert (await here.get("/v1/requests/first-of-two/trace"))[0] == 404


async def test_nothing_of_what_was_said_is_in_it() -> None:
    async with house() as here:
        here.provider.streams(sse(chunk({"role": "assistant", "content": "CANARY-ANSWER"}), chunk({}, finish="stop")))
        async with here.ask(messages=[{"role": "user", "content": "CANARY-QUESTION"}]) as answer:
            await answer.read()
        assert "CANARY" not in str(await here.ended())


async def test_content_is_kept_up_to_its_limit_where_the_operator_wants_it() -> None:
    async with house(trace_content=40) as here:
        here.provider.streams(HELLO)
        async with here.ask() as answer:
            read = await answer.text()
        content = (await here.ended())["content"]
        assert content["question"].startswith('{"model"')
        assert content["most_bytes"] == len(content["question"]) == len(content["answer"]) == 40
        assert read.startswith(content["answer"])


def test_of_very_many_waits_the_ends_are_kept() -> None:
    trace = Trace()
    waits = [trace.wait_for("backoff") for _ in range(1000)]
    assert trace.waits == [*waits[:16], *waits[-16:]]


async def test_of_very_many_attempts_the_ends_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(retries=60, retry_budget=100.0) as here:
        monkeypatch.setattr("llmproxy.resilience.retry._CAP", 0.001)
        for _ in range(50):
            here.provider.fails(503)
        here.provider.streams(HELLO)
        async with here.ask() as answer:
            await answer.read()
        told = await here.ended()
        assert [one["number"] for one in told["attempts"]] == [*range(1, 17), *range(36, 52)]
        assert told["attempts_left_out"] == 19


def test_the_reason_of_an_attempt_is_seen_from_those_before_it() -> None:
    trace = Trace()
    first = trace.dial("p", "one")
    first.end("failed")
    assert [first.why, trace.dial("p", "one").why, trace.dial("q", "two").why] == ["first", "retry", "failover"]
    parts = Trace()
    assert [parts.branch(together=True).dial("p", "one").why for _ in range(2)] == ["part", "part"]
