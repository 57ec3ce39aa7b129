"""The ledger beside a provider's own bill, request by request, whatever went wrong; and after kill -9 in any moment."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from llmproxy.testing import Behaviour, chunk, sse
from llmproxy.testing.connection import Exchange
from llmproxy.testing.samples import as_bytes, failure
from tests.accounts.house import KEYS, ROOT, House, answer, house, usage
from tests.accounts.test_budgets import EVE, SSE, budgeted, settled, spent, sum_of_rows

COUNT = int(os.environ.get("LLMPROXY_BILLED", "400" if os.environ.get("CI") else "100"))
KILLS = int(os.environ.get("LLMPROXY_BUDGET_KILLS", "4" if os.environ.get("CI") else "2"))
JSON = {"content-type": "application/json"}
CHAIN = '[aliases]\nchain = ["near/m", "plain/m"]\n[limits]\nhedge = 0.05\nretry_budget = 10\n'


@dataclass
class Line:
    """What the provider counted of one call, and whether it has told it whole."""

    tokens_in: int
    tokens_out: int
    told: bool


class Provider:
    """Answers in every way there is, and keeps a bill by the id that it gives each call."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.bill: dict[str, Line] = {}

    def __call__(self, asked: Exchange) -> Behaviour | None:
        if asked.method != "POST":
            return None
        id = f"call-{len(self.bill):05d}"
        tokens_in, tokens_out = self.dice.randrange(5, 500), self.dice.randrange(4, 200)
        line = self.bill[id] = Line(tokens_in, tokens_out, told=False)
        fate = self.dice.random()
        if fate < 0.15:
            status = self.dice.choice([400, 429, 500, 503])
            line.tokens_in = line.tokens_out = 0
            return Behaviour([as_bytes(failure(status))], status, {**JSON, "x-request-id": id}, framing="length")
        counted = usage(tokens_in, tokens_out, prompt_tokens_details={"cached_tokens": tokens_in // 3})
        delay = 0.12 if fate > 0.9 else 0.0  # so late that the next of the chain is asked, too
        if not asked.json.get("stream"):
            line.told = True
            return Behaviour(
                [as_bytes(answer(usage=counted))], 200, {**JSON, "x-request-id": id}, framing="length", delay=delay
            )
        frames = [sse(chunk({"content": "tok " * 4}), done=False) for _ in range(max(1, tokens_out // 4))]
        headers = {**SSE, "x-request-id": id}
        if fate < 0.3:
            return Behaviour(frames, headers=headers, ending=self.dice.choice(["fin", "rst"]), every=0.001, delay=delay)
        line.told = True
        frames.append(sse(chunk({}, finish="stop"), {**chunk({}), "choices": [], "usage": counted}))
        return Behaviour(frames, headers=headers, every=0.001, delay=delay)


async def ask(there: House, dice: random.Random) -> None:
    body: Any = {
        "model": dice.choice(["near/m", "plain/m", "chain"]),
        "messages": [{"role": "user", "content": "Hello there"}],
    }
    if dice.random() < 0.7:
        body |= {"stream": True}
    bearer = {"Authorization": f"Bearer {EVE}"}
    try:
        async with there.client.post(f"{there.gateway.base_url}/chat/completions", json=body, headers=bearer) as said:
            if dice.random() < 0.2:
                await said.content.readany()
                return
            await said.read()
    except aiohttp.ClientError:
        return


def attempts(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(folder / "data" / "llmproxy.db")) as db:
        db.row_factory = sqlite3.Row
        return list(db.execute("SELECT * FROM attempts"))


@pytest.mark.timeout(60 + COUNT / 20)
async def test_every_line_of_the_bill_has_its_row_to_the_token() -> None:
    provider, dice = Provider(1), random.Random(2)
    async with house(budgeted("100/total", CHAIN), route=provider) as there:
        for _ in range(COUNT // 20):
            await asyncio.gather(*(ask(there, dice) for _ in range(20)))
        await settled(there, requests=COUNT)
        written = attempts(there.gateway.folder)
        rows = {row["provider_id"]: row for row in written if row["provider_id"]}
        counted, estimated = 0, 0
        for id, line in provider.bill.items():
            row = rows.get(id)
            if row is None:
                continue  # it never got as far as a status line: looked at below
            if row["usage_source"] == "provider":
                counted += 1
                assert row["input"] + row["cache_read"] == line.tokens_in, id
                assert row["output"] == line.tokens_out, id
            else:
                estimated += row["usage_source"] == "estimated"
                assert not line.told or row["state"] in ("stopped", "lost_race", "failed"), (id, dict(row))
        nameless = [row for row in written if not row["provider_id"]]
        assert all(row["state"] in ("stopped", "lost_race", "failed") for row in nameless)
        assert len(rows) + len(nameless) >= len(provider.bill)
        assert counted > COUNT / 3
        assert estimated > 0
        there.gateway.stop()
        [(_, _, cost, leased)] = spent(there)
        assert (cost, leased) == (sum_of_rows(there), 0)


@pytest.mark.timeout(60 + 20 * KILLS)
async def test_after_a_kill_in_any_moment_the_counters_are_the_rows() -> None:
    dice = random.Random(3)
    for number in range(KILLS):
        provider = Provider(number)
        async with house(budgeted("100/total, 50/day"), route=provider) as there:
            asking = [asyncio.ensure_future(ask(there, dice)) for _ in range(30)]
            await asyncio.sleep(dice.random() * 0.5)
            there.gateway.process.kill()
            there.gateway.process.wait()
            await asyncio.gather(*asking, return_exceptions=True)
            assert there.command("usage", "--json").returncode == 0
            rows = spent(there)
            assert {row[1] for row in rows} <= {"total", "day"}
            assert all(cost == sum_of_rows(there) and leased == 0 for _, _, cost, leased in rows)
            with closing(sqlite3.connect(there.gateway.folder / "data" / "llmproxy.db")) as db:
                assert list(db.execute("SELECT count(*) FROM leases")) == [(0,)]
                assert list(db.execute("SELECT count(*) FROM attempts WHERE state IN ('open', 'opening')")) == [(0,)]


async def test_workers_share_one_budget_and_one_revocation() -> None:
    limit = 3000
    config = budgeted(f"{limit * 2e6 / 1e12:.9f}/total").replace(KEYS, f"{KEYS}", 1)
    async with house(f"[server]\nworkers = 3\n{config}", route=lambda _: whole(100)) as there:
        statuses = []
        for _ in range(6):
            statuses += await asyncio.gather(*(status(there, EVE) for _ in range(10)))
        cost = await settled(there)
        assert 429 in statuses
        assert 0.9 * limit <= cost / 2e6 <= limit + 10 * 100
        secret = (await there.call("POST", "/api/keys", ROOT, {"name": "kim"}))[1]["secret"]
        async with asyncio.timeout(10):
            while [await status(there, secret) for _ in range(9)].count(200) < 9:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await there.call("DELETE", "/api/keys/kim", ROOT)
        async with asyncio.timeout(10):
            while [await status(there, secret) for _ in range(9)].count(401) < 9:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


def whole(tokens: int) -> Behaviour:
    said = {**chunk({}), "choices": [], "usage": usage(10, tokens)}
    frames = [sse(chunk({"content": "tok " * tokens}), chunk({}, finish="stop"), said)]
    return Behaviour(frames, headers=SSE)


async def status(there: House, key: str) -> int:
    """Of a request over a connection of its own, so that any worker may take it."""
    body = {"model": "near/m", "messages": [{"role": "user", "content": "Hello there"}], "stream": True}
    headers = {"Authorization": f"Bearer {key}", "Connection": "close"}
    async with there.client.post(f"{there.gateway.base_url}/chat/completions", json=body, headers=headers) as said:
        await said.read()
        return said.status
