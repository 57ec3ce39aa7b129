"""Budgets that hold: asked of a running gateway, with a provider that knows what it really served."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from aiohttp import web

from llmproxy.testing import Behaviour, chunk, sse
from tests.accounts.house import ASK, KEYS, ROOT, House, answer, house, usage
from tests.gateway import free_port
from tests.waiting import soon

EVE = "eve-secret-of-some-length"
STREAMED = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
SSE = {"content-type": "text/event-stream"}
TOKEN = 2 * 10**6  # of output, in 1e-12 dollars
WORD = "word and "  # nine bytes: about two tokens


def budgeted(budget: str, more: str = "", **members: Any) -> str:
    told = "\n".join(f"{name} = {value}" for name, value in members.items())
    return f'{KEYS}\n[[server.keys]]\nname = "eve"\nsecret = "{EVE}"\nbudget = "{budget}"\n{told}\n{more}'


def dollars(tokens_out: int) -> str:
    """A budget of so many tokens of output, as it is written."""
    return f"{tokens_out * TOKEN / 10**12:.9f}"


def streamed(tokens: int, **more: Any) -> Behaviour:
    """An answer of so many tokens, four bytes each."""
    frames = [sse(chunk({"role": "assistant", "content": ""}), done=False)]
    frames += [sse(chunk({"content": "tok " * 4}), done=False) for _ in range(tokens // 4)]
    frames.append(sse(chunk({}, finish="stop"), done=False))
    frames.append(sse({**chunk({}), "choices": [], "usage": usage(10, tokens)}))
    return Behaviour(frames, headers=SSE, **more)


def spent(there: House) -> list[Any]:
    """The rows of `spend`, read beside the gateway."""
    with closing(sqlite3.connect(there.gateway.folder / "data" / "llmproxy.db")) as db:
        return list(db.execute("SELECT account, win, spent_e12, leased_e12 FROM spend ORDER BY account, win"))


def sum_of_rows(there: House, owner: str = "eve") -> int:
    with closing(sqlite3.connect(there.gateway.folder / "data" / "llmproxy.db")) as db:
        [total] = db.execute("SELECT coalesce(sum(cost_e12), 0) FROM attempts WHERE owner = ?", (owner,)).fetchone()
    return int(total)


def closed_rows(there: House) -> int:
    """How many requests have their row; -1 while one of them is open."""
    with closing(sqlite3.connect(there.gateway.folder / "data" / "llmproxy.db")) as db:
        states = [state for (state,) in db.execute("SELECT state FROM ledger")]
    return -1 if "open" in states else len(states)


async def settled(there: House, least: int = 1, requests: int = 0) -> int:
    """What was spent, once nothing runs and every row is written: the sum of the rows, to the last digit.

    least: of it. requests: how many must have their row.
    """

    async def cost() -> int | None:
        _, told, _ = await there.call("GET", "/v1/requests", ROOT)
        if told["data"] or closed_rows(there) < requests:
            return None
        cost = max((row[2] for row in spent(there)), default=0)
        return int(cost) if cost >= least and cost == sum_of_rows(there) else None

    return await soon(cost)


async def test_what_was_spent_is_the_sum_of_the_rows() -> None:
    async with house(budgeted("1/day, 5/total")) as there:
        for tokens in (5, 700):
            there.provider.answers(answer(usage=usage(10, tokens)))
            assert (await there.ask(EVE))[0] == 200
        cost = await settled(there, 2 * 10 * 10**6 + 705 * TOKEN)
        assert cost == 2 * 10 * 10**6 + 705 * TOKEN
        assert [(row[0], row[1], row[2]) for row in spent(there)] == [
            ("key:eve", "day", cost),
            ("key:eve", "total", cost),
        ]
        there.gateway.stop()
        assert [row[3] for row in spent(there)] == [0, 0]  # a quiet system holds nothing


async def test_a_stream_ends_when_the_money_is_gone_and_its_provider_is_hung_up_on() -> None:
    async with house(budgeted(f"{dollars(1000)}/total")) as there:
        there.provider.does(streamed(40_000, every=0.001))
        bearer = {"Authorization": f"Bearer {EVE}"}
        url = f"{there.gateway.base_url}/chat/completions"
        async with there.client.post(url, json=STREAMED, headers=bearer) as said:
            body = (await said.read()).decode()
        exchange = await there.provider.received()
        async with asyncio.timeout(10):
            await exchange.closed.wait()
        assert body.count('"code":"insufficient_quota"') == 1
        assert "[DONE]" not in body
        words = body.count("tok ")
        assert 400 <= words <= 1100  # 2 bytes a token are held as long as nothing is known of the model
        assert await settled(there) <= 1.05 * 1000 * TOKEN
        _, told, _ = await there.call("GET", "/v1/requests", ROOT)
        assert [(one["by"], one["code"]) for one in told["recent"]] == [("budget", "insufficient_quota")]


async def test_who_has_spent_it_all_is_refused_with_the_true_time() -> None:
    async with house(budgeted(f"{dollars(100)}/day")) as there:
        there.provider.answers(answer(usage=usage(10, 100)))
        assert (await there.ask(EVE))[0] == 200
        status, told, headers = await there.ask(EVE)
        assert (status, told["error"]["code"], told["error"]["type"]) == (
            429,
            "insufficient_quota",
            "insufficient_quota",
        )
        assert 0 < int(headers["Retry-After"]) <= 86_400
        assert headers["x-should-retry"] == "false"
        assert len(there.provider.exchanges) == 1
        _, told, _ = await there.call("GET", "/readyz")
        assert told["providers"]["near"] == "closed"  # a budget opens no breaker


async def test_an_answer_that_is_not_streamed_is_watched_while_it_grows() -> None:
    async with house(budgeted(f"{dollars(1000)}/total")) as there:
        there.provider.does(streamed(40_000, every=0.001))
        status, told, _ = await there.ask(EVE)
        assert (status, told["error"]["code"]) == (429, "insufficient_quota")
        assert there.provider.last.json["stream"] is True


@pytest.mark.parametrize("body", [ASK, STREAMED], ids=["whole", "streamed"])
async def test_an_answer_that_comes_in_one_block_and_fits_is_not_refused(body: Any) -> None:
    """As a provider's does that is faster than we are. Its text is thought to be 600 tokens, of the 690 that are left."""
    counts = {**chunk({}), "choices": [], "usage": usage(10, 300)}
    frames = [sse(chunk({"content": "tok " * 300}), done=False), sse(chunk({}, finish="stop"), counts)]
    async with house(budgeted(f"{dollars(1000)}/total")) as there:
        for number in (1, 2):
            there.provider.does(Behaviour(frames, headers=SSE, every=0.05))
            bearer = {"Authorization": f"Bearer {EVE}"}
            url = f"{there.gateway.base_url}/chat/completions"
            async with there.client.post(url, json=body, headers=bearer) as said:
                text = await said.text()
                assert (said.status, "insufficient_quota" in text) == (200, False), text
            assert await settled(there, number * (10 * 10**6 + 300 * TOKEN)) == number * (10 * 10**6 + 300 * TOKEN)


async def test_an_answer_that_cannot_be_watched_is_asked_for_no_more_than_fits() -> None:
    async with house(budgeted(f"{dollars(1000)}/total")) as there:
        there.provider.answers(answer(usage=usage(10, 40)))
        status, _, headers = await there.ask(EVE, {**ASK, "model": "plain/m", "max_tokens": 32_000})
        clamped = there.provider.last.json["max_tokens"]
        assert (status, headers["X-LLMProxy-Clamped"]) == (200, f"max_tokens={clamped}")
        assert 900 <= clamped <= 1000
        there.provider.answers(answer(usage=usage(10, 40)))
        _, _, headers = await there.ask(EVE, {**ASK, "model": "plain/m", "max_tokens": 20})
        assert there.provider.last.json["max_tokens"] == 20
        assert "X-LLMProxy-Clamped" not in headers


async def test_the_budget_of_a_group_counts_for_all_its_keys() -> None:
    more = f'[groups.team]\nbudget = "{dollars(150)}/month"\n'
    async with house(budgeted("1/day", more, group='"team"')) as there:
        secret = (await there.call("POST", "/api/keys", ROOT, {"name": "kim", "group": "team"}))[1]["secret"]
        there.provider.answers(answer(usage=usage(10, 150)))
        assert (await there.ask(EVE))[0] == 200
        status, told, _ = await there.ask(secret)
        assert (status, "group 'team'" in told["error"]["message"]) == (429, True)


async def test_a_model_without_a_price_is_not_for_keys_with_a_budget() -> None:
    async with house(budgeted("1/day")) as there:
        status, told, _ = await there.ask(EVE, {**ASK, "model": "far/m"})
        assert (status, told["error"]["code"], told["error"]["param"]) == (403, "unpriced_model", "model")
        assert there.provider.exchanges == []


async def test_a_soft_budget_only_warns() -> None:
    async with house(budgeted(f"{dollars(10)}/day", '[budgets]\nmode = "soft"\n')) as there:
        for _ in range(3):
            there.provider.answers(answer(usage=usage(10, 100)))
            status, _, headers = await there.ask(EVE)
            assert status == 200
        assert headers["X-LLMProxy-Budget"].startswith("used up")
        there.gateway.stop()
        assert len(there.gateway.events("budget_used_up")) == 1


async def test_a_used_up_budget_is_posted_to_the_webhook_once() -> None:
    posted: asyncio.Queue[Any] = asyncio.Queue()

    async def hook(request: web.Request) -> web.Response:
        await posted.put(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        more = f'[budgets]\nwebhook = "http://127.0.0.1:{port}/hook"\n'
        async with house(budgeted(f"{dollars(100)}/day", more)) as there:
            there.provider.answers(answer(usage=usage(10, 100)))
            await there.ask(EVE)
            for _ in range(3):
                assert (await there.ask(EVE))[0] == 429
            async with asyncio.timeout(10):
                told = await posted.get()
            assert (told["event"], told["key"], told["window"]) == ("budget_used_up", "eve", "day")
            assert told["spent"] >= told["limit"] == pytest.approx(200e-6)
            assert posted.empty()
    finally:
        await runner.cleanup()


async def test_a_raised_limit_lets_a_paused_request_go_on() -> None:
    async with house(f'{KEYS}\n[budgets]\nmode = "pause"\n') as there:
        _, made, _ = await there.call("POST", "/api/keys", ROOT, {"name": "kim", "budget": f"{dollars(30)}/day"})
        there.provider.answers(answer(usage=usage(10, 40)))
        assert (await there.ask(made["secret"]))[0] == 200
        there.provider.answers(answer(usage=usage(10, 40)))
        waiting = asyncio.create_task(there.ask(made["secret"]))
        async with asyncio.timeout(10):
            while not (await there.call("GET", "/v1/requests", ROOT))[1]["data"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert len(there.provider.exchanges) == 1
        await there.call("PATCH", "/api/keys/kim", ROOT, {"budget": "1/day"})
        async with asyncio.timeout(10):
            assert (await waiting)[0] == 200


async def test_after_a_kill_the_counters_are_the_rows_and_the_lease_is_ended() -> None:
    async with house(budgeted("1/total")) as there:
        there.provider.answers(answer(usage=usage(10, 40)))
        await there.ask(EVE)
        there.provider.hangs(sse(chunk({"role": "assistant", "content": "one "}), done=False))
        bearer = {"Authorization": f"Bearer {EVE}"}
        async with there.client.post(
            f"{there.gateway.base_url}/chat/completions", json=STREAMED, headers=bearer
        ) as streaming:
            await streaming.content.readany()
            await asyncio.sleep(0.3)  # until the open request is written down
            there.gateway.process.kill()
            there.gateway.process.wait()
        assert spent(there)[0][3] > 0  # what was leased counts as spent until somebody ends the lease
        assert there.command("usage").returncode == 0  # opens the database
        [(_, _, cost, leased)] = spent(there)
        assert (cost, leased) == (sum_of_rows(there), 0)
        assert cost > 10 * 10**6 + 40 * TOKEN
        states = json.loads(there.command("usage", "--json").stdout)
        assert states[0]["unknown"] == 1


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
async def test_two_hundred_at_once_spend_no_more_than_there_is(streams: bool) -> None:
    """20 % leave in the middle. The provider keeps its own bill. It writes so slowly that few tokens are on their way at once: what
    has arrived before it is counted is spent."""
    count, each = 200, 300
    limit = count * each // 2  # half of what they want
    async with house(budgeted(f"{dollars(limit)}/total"), route=lambda _: streamed(each, every=0.03)) as there:
        body = {**(STREAMED if streams else ASK), "max_tokens": 32_000}
        told = await asyncio.gather(*(one(there, body, leaves=number % 5 == 0) for number in range(count)))
        cost = await settled(there)
        assert cost <= limit * TOKEN * 1.02 + count * 16 * TOKEN
        assert cost >= 0.9 * limit * TOKEN
        assert {status for status in told if status} <= {200, 429}


async def one(there: House, body: Any, *, leaves: bool) -> int:
    bearer = {"Authorization": f"Bearer {EVE}"}
    async with there.client.post(f"{there.gateway.base_url}/chat/completions", json=body, headers=bearer) as said:
        if leaves:
            await said.content.read(2000)
            return 0
        await said.read()
        return said.status
