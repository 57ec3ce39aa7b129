"""Requests that are the same share one answer, over real sockets: in every dialect, streamed or not, and never across keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientResponse, web

from llmproxy.config import Budget, Cache, Config, Key, Limits, Provider, Server
from llmproxy.core.usage import DOLLAR
from llmproxy.testing import Behaviour, FakeProvider, chunk, completion, sse
from llmproxy.testing.connection import Exchange
from llmproxy.testing.samples import as_bytes
from tests.in_loop import Served, served
from tests.waiting import soon

Json = dict[str, Any]
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
STREAM = sse(chunk({"content": "Hi "}), chunk({"content": "there"}), chunk({}, finish="stop", usage=USAGE))
JSON_TYPE, SSE_TYPE = {"content-type": "application/json"}, {"content-type": "text/event-stream"}
EUROPE = "ann-secret-of-some-length", "bob-secret-of-some-length"


def answering(exchange: Exchange) -> Behaviour | None:
    if exchange.method != "POST":
        return None
    if exchange.path.endswith("/embeddings"):
        vector = {"object": "embedding", "index": 0, "embedding": [1.0, 2.0]}
        body = {"object": "list", "model": "m", "data": [vector], "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        return Behaviour([as_bytes(body)], headers=JSON_TYPE, framing="length")
    if exchange.json.get("stream"):
        return Behaviour([STREAM], headers=SSE_TYPE)
    return Behaviour([as_bytes(completion(usage=USAGE))], headers=JSON_TYPE, framing="length")


class House(NamedTuple):
    gateway: Served
    provider: FakeProvider

    @asynccontextmanager
    async def asking(
        self, path: str, body: Json, key: str = EUROPE[0], **headers: str
    ) -> AsyncIterator[ClientResponse]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        auth = {"Authorization": f"Bearer {key}", **named}
        async with self.gateway.client.post(self.gateway.url + path, json=body, headers=auth) as answer:
            yield answer

    async def ask(self, path: str, body: Json, key: str = EUROPE[0], **headers: str) -> tuple[bytes, str | None]:
        """The answer, and whether it was shared."""
        async with self.asking(path, body, key, **headers) as answer:
            said = await answer.read()
            assert answer.status == 200, said
            return said, answer.headers.get("X-LLMProxy-Cache")

    async def rows(self, count: int) -> list[Any]:
        """The ledger once so many requests have ended, by their ids."""

        async def ended() -> list[Any] | None:
            self.gateway.store.ledger.flush()
            columns = "id, owner, state, stopped_by, attempts, tokens_in, tokens_out, usage_source, cost_e12"
            found = await self.gateway.store.read(
                lambda db: list(db.execute(f"SELECT {columns} FROM ledger WHERE state != 'open' ORDER BY id"))
            )
            return [tuple(one) for one in found] if len(found) >= count else None

        return await soon(ended)


class Gated:
    """A provider that says half of its stream, and the rest when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.hung_up = 0
        self.go = asyncio.Event()
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        response = web.StreamResponse(headers=SSE_TYPE)
        await response.prepare(request)
        half = STREAM.index(b"data:", 10)
        try:
            await response.write(STREAM[:half])
            await self.go.wait()
            await response.write(STREAM[half:])
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up += 1
            raise
        return response

    async def __aenter__(self) -> Gated:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        self._runner = web.AppRunner(app, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.go.set()
        await self._runner.cleanup()


@asynccontextmanager
async def house(
    cache: Cache | None = None, budget: int | None = None, url: str = "", folder: Path | None = None
) -> AsyncIterator[House]:
    """url: of another provider than the one that answers at once. folder: of the database; else it is in memory."""
    async with FakeProvider(route=answering) as provider:
        limits = (Budget("day", budget),) if budget is not None else ()
        keys = (Key("ann", EUROPE[0], budget=limits), Key("bob", EUROPE[1]))
        one = Provider("near", "compatible", f"{url or provider.url}/v1", models=("m",), list_models=False)
        config = Config(
            server=Server(keys=keys),
            providers=(one,),
            limits=Limits(retries=0),
            cache=cache or Cache(),
            prices={"near/*": {"input": 1.0, "output": 2.0}},
        )
        async with served(config, folder) as gateway:
            yield House(gateway, provider)


CHAT: Json = {"model": "near/m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0}
RESPONSE: Json = {"model": "near/m", "input": "Hi", "temperature": 0, "store": False}
CONTENTS: Json = {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"temperature": 0}}
ALL = [
    pytest.param("/v1/chat/completions", CHAT, id="chat"),
    pytest.param("/v1/chat/completions", {**CHAT, "stream": True}, id="chat stream"),
    pytest.param("/v1/messages", {**CHAT, "max_tokens": 9}, id="messages"),
    pytest.param("/v1/messages", {**CHAT, "max_tokens": 9, "stream": True}, id="messages stream"),
    pytest.param("/v1/responses", RESPONSE, id="responses"),
    pytest.param("/v1/responses", {**RESPONSE, "stream": True}, id="responses stream"),
    pytest.param("/v1beta/models/near/m:generateContent", CONTENTS, id="gemini"),
    pytest.param("/v1beta/models/near/m:streamGenerateContent?alt=sse", CONTENTS, id="gemini stream"),
    pytest.param("/v1beta/models/near/m:streamGenerateContent", CONTENTS, id="gemini array"),
    pytest.param("/v1/embeddings", {"model": "near/m", "input": "Hi"}, id="embeddings"),
]


@pytest.mark.parametrize(("path", "body"), ALL)
async def test_the_same_request_is_answered_with_the_same_bytes_without_asking_anybody(path: str, body: Json) -> None:
    async with house(Cache(models=("near/*",))) as there:
        first, second = await there.ask(path, body), await there.ask(path, body)
        assert (first[1], second[1]) == ("miss", "hit")
        assert first[0] == second[0]
        assert len(there.provider.exchanges) == 1


async def test_streams_come_again_as_streams_and_json_as_json() -> None:
    async with house(Cache(models=("near/*",))) as there:
        for _ in range(2):
            async with there.asking("/v1/chat/completions", {**CHAT, "stream": True}) as answer:
                assert answer.headers["Content-Type"].startswith("text/event-stream")
                assert (await answer.read()).endswith(b"data: [DONE]\n\n")
            async with there.asking("/v1/chat/completions", CHAT) as answer:
                assert answer.headers["Content-Type"] == "application/json"
                assert (await answer.json())["choices"][0]["message"]["content"] == "Hello"
        assert len(there.provider.exchanges) == 2


@pytest.mark.parametrize(
    ("body", "headers", "marks"),
    [
        ({**CHAT, "temperature": 1}, {}, [None, None]),
        ({**CHAT, "temperature": 1}, {"X_LLMProxy_Cache": "on"}, ["miss", "hit"]),
        (CHAT, {"X_LLMProxy_Cache": "off"}, [None, None]),
        (CHAT, {"Cache_Control": "no-store"}, [None, None]),
        (CHAT, {"Cache_Control": "no-cache"}, ["miss", "miss"]),
    ],
)
async def test_whether_it_is_shared_is_the_configurations_and_the_clients(
    body: Json, headers: dict[str, str], marks: list[str | None]
) -> None:
    async with house(Cache(models=("near/*",))) as there:
        assert [(await there.ask("/v1/chat/completions", body, **headers))[1] for _ in range(2)] == marks


async def test_nothing_is_shared_where_nobody_asked_for_it() -> None:
    async with house() as there:
        assert [(await there.ask("/v1/chat/completions", CHAT))[1] for _ in range(2)] == [None, None]
        assert len(there.provider.exchanges) == 2


@pytest.mark.parametrize(("shared", "marks"), [(False, ["miss", "miss"]), (True, ["miss", "hit"])])
async def test_keys_share_only_where_that_is_allowed(shared: bool, marks: list[str]) -> None:
    async with house(Cache(models=("near/*",), shared=shared)) as there:
        assert [(await there.ask("/v1/chat/completions", CHAT, key))[1] for key in EUROPE] == marks


async def test_a_wish_that_is_neither_on_nor_off_is_told() -> None:
    async with (
        house() as there,
        there.asking("/v1/messages", {**CHAT, "max_tokens": 9}, X_LLMProxy_Cache="yes") as told,
    ):
        assert told.status == 400
        assert "X-LLMProxy-Cache is on or off." in await told.text()


async def test_a_failure_is_never_given_to_who_comes_again() -> None:
    async with house(Cache(models=("near/*",))) as there:
        there.provider.route = lambda exchange: Behaviour([b"{}"], 500, JSON_TYPE, framing="length")
        async with there.asking("/v1/chat/completions", CHAT) as answer:
            assert (answer.status, answer.headers["X-LLMProxy-Cache"]) == (500, "miss")
        there.provider.route = answering
        assert (await there.ask("/v1/chat/completions", CHAT))[1] == "miss"


async def test_an_answer_that_is_cut_is_not_kept() -> None:
    async with house(Cache(models=("near/*",))) as there:
        cut = Behaviour([STREAM[:200]], headers=SSE_TYPE, ending="rst")
        there.provider.route = lambda exchange: cut
        async with there.asking("/v1/chat/completions", {**CHAT, "stream": True}) as answer:
            assert b"error" in await answer.read()
        there.provider.route = answering
        said, mark = await there.ask("/v1/chat/completions", {**CHAT, "stream": True})
        assert (mark, b"there" in said) == ("miss", True)


async def test_a_hit_and_a_joined_request_have_rows_that_cost_nothing_and_say_why() -> None:
    async with house(Cache(models=("near/*",))) as there:
        for id in ("request-1", "request-2"):
            await there.ask("/v1/chat/completions", CHAT, X_Request_ID=id)
        assert await there.rows(2) == [
            ("request-1", "ann", "completed", None, 1, 10, 5, "provider", 20 * DOLLAR // 10**6),
            ("request-2", "ann", "completed", None, 0, None, None, "cache", 0),
        ]


async def test_a_hit_is_given_to_a_key_whose_budget_is_not_enough_and_costs_it_nothing() -> None:
    async with house(Cache(models=("near/*",)), budget=40 * DOLLAR // 10**6) as there:
        assert (await there.ask("/v1/chat/completions", CHAT))[1] == "miss"
        async with there.asking("/v1/chat/completions", {**CHAT, "top_p": 0.5}) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (429, "insufficient_quota")
        assert (await there.ask("/v1/chat/completions", CHAT))[1] == "hit"
        assert sum(row[-1] or 0 for row in await there.rows(3)) == 20 * DOLLAR // 10**6


async def test_a_request_shows_whose_answer_it_had_and_its_way(tmp_path: Path) -> None:
    async with house(Cache(models=("near/*",))) as there:
        for id, mark in (("request-1", "miss"), ("request-2", "hit")):
            await there.ask("/v1/chat/completions", CHAT, X_Request_ID=id)
            url, auth = f"{there.gateway.url}/v1/requests/{id}", {"Authorization": f"Bearer {EUROPE[0]}"}
            async with there.gateway.client.get(url, headers=auth) as told:
                shown = await told.json()
            assert (shown["cache"], shown["state"], len(shown["tries"])) == (mark, "completed", int(mark == "miss"))
            assert shown["cost"] == (0.00002 if mark == "miss" else 0)
            async with there.gateway.client.get(f"{url}/trace", headers=auth) as told:
                assert (told.status, len((await told.json())["attempts"])) == (200, int(mark == "miss"))


async def test_answers_on_disk_are_there_after_a_restart_and_those_in_memory_are_not(tmp_path: Path) -> None:
    for store, expected in (("memory", "miss"), ("disk", "hit")):
        for mark in ("miss", expected):
            async with house(Cache(models=("near/*",), store=store), folder=tmp_path / store) as there:  # type: ignore[arg-type]  # one of two words
                assert (await there.ask("/v1/chat/completions", {**CHAT, "stream": True}))[1] == mark


class Client:
    """One streamed request that is read as it comes."""

    def __init__(self, there: House, id: str, path: str = "/v1/chat/completions", **more: Any) -> None:
        self.id = id
        self.said = b""
        self.mark: str | None = None
        self._there, self._path, self._body = there, path, {**CHAT, "stream": True, **more}
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> bytes:
        async with self._there.asking(self._path, self._body, X_Request_ID=self.id) as answer:
            self.mark = answer.headers["X-LLMProxy-Cache"]
            async for piece in answer.content.iter_any():
                self.said += piece
        return self.said

    async def begun(self) -> None:
        async def some() -> bytes:
            return self.said

        await soon(some)

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})

    async def stop(self) -> Json:
        """By its id."""
        async with self._there.asking(f"/v1/requests/{self.id}/cancel", {}) as answer:
            told: Json = await answer.json()
        return told


@asynccontextmanager
async def two(**more: Any) -> AsyncIterator[tuple[House, Gated, Client, Client]]:
    """Two clients in the middle of one stream, the one who began it first."""
    async with Gated() as provider, house(Cache(models=("near/*",)), url=provider.url) as there:
        first = Client(there, "request-1", **more)
        await first.begun()
        second = Client(there, "request-2", **more)
        await second.begun()
        assert (provider.asked, first.mark, second.mark) == (1, "miss", "joined")
        yield there, provider, first, second


async def test_requests_at_the_same_time_share_one_stream_of_the_provider() -> None:
    async with two() as (_, provider, first, second):
        provider.go.set()
        assert await first.task == await second.task
        assert first.said.endswith(b"data: [DONE]\n\n")


async def test_the_stop_of_a_joined_request_ends_only_its_own_reading() -> None:
    async with two() as (there, provider, first, second):
        assert (await second.stop())["state"] == "cancelled"
        assert b"request_cancelled" in await second.task
        provider.go.set()
        assert (await first.task).endswith(b"data: [DONE]\n\n")
        assert provider.hung_up == 0
        rows = await there.rows(2)
        assert [row[2:5] + row[7:] for row in rows] == [
            ("completed", None, 1, "provider", 20 * DOLLAR // 10**6),
            ("cancelled", "api", 0, "cache", 0),
        ]


async def test_the_stop_of_who_began_it_leaves_it_to_the_others_and_its_row_has_the_whole_cost() -> None:
    async with two() as (there, provider, first, second):
        assert (await first.stop())["state"] == "cancelled"
        assert b"request_cancelled" in await first.task
        await there.rows(1)
        provider.go.set()
        assert (await second.task).endswith(b"data: [DONE]\n\n")
        assert provider.hung_up == 0

        async def paid() -> list[Any] | None:
            rows = await there.rows(2)
            return rows if rows[0][-1] else None

        rows = await soon(paid)
        assert [row[2:5] + row[8:] for row in rows] == [
            ("cancelled", "api", 1, 20 * DOLLAR // 10**6),
            ("completed", None, 0, 0),
        ]


@pytest.mark.parametrize("how", ["leave", "stop"])
async def test_the_last_ones_leaving_stops_the_provider(how: str) -> None:
    async with two() as (_, provider, first, second):
        await first.leave()
        assert provider.hung_up == 0
        await (second.leave() if how == "leave" else second.stop())

        async def hung_up() -> bool:
            return provider.hung_up == 1

        await soon(hung_up)


@pytest.mark.parametrize(
    ("path", "last"), [("/v1/messages", b"message_stop"), ("/v1/responses", b"response.completed")]
)
async def test_streams_of_other_dialects_are_joined_too(path: str, last: bytes) -> None:
    more: Json = {"max_tokens": 9} if path == "/v1/messages" else {"input": "Hi", "messages": None, "store": False}
    async with two(path=path, **more) as (_, provider, first, second):
        provider.go.set()
        assert await first.task == await second.task
        assert last in first.said


async def test_a_budget_is_charged_once_for_a_shared_stream() -> None:
    async with (
        Gated() as provider,
        house(Cache(models=("near/*",)), budget=DOLLAR, url=provider.url) as there,
    ):
        first, second = Client(there, "request-1"), Client(there, "request-2")
        await first.begun()
        await second.begun()
        began = first if first.mark == "miss" else second
        await began.stop()
        provider.go.set()
        await asyncio.wait({first.task, second.task})

        async def spent() -> int | None:
            there.gateway.store.ledger.flush()
            found = await there.gateway.store.read(lambda db: list(db.execute("SELECT sum(spent_e12) FROM spend")))
            return found[0][0] or None

        assert await soon(spent) == 20 * DOLLAR // 10**6
        assert sum(row[-1] or 0 for row in await there.rows(2)) == 20 * DOLLAR // 10**6
