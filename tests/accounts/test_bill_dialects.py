"""The ledger beside the bills of providers of every dialect, asked by clients of every dialect, whatever goes wrong."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.accounts.house import House, house
from tests.accounts.test_bill import KILLS, attempts
from tests.accounts.test_budgets import EVE, budgeted, settled, spent, sum_of_rows
from tests.accounts.wires import Ledger, Line
from tests.waiting import soon

COUNT = int(os.environ.get("LLMPROXY_BILLED", "240"))
CONFIG = """
[providers.claude]
adapter = "anthropic"
base_url = "http://127.0.0.1:PORT"
api_key = "k"
list_models = false
breaker = { failures = 100000, samples = 1000 }
[providers.gem]
adapter = "gemini"
base_url = "http://127.0.0.1:PORT/v1beta"
api_key = "k"
list_models = false
breaker = { failures = 100000, samples = 1000 }
[providers.oai]
adapter = "openai"
base_url = "http://127.0.0.1:PORT/v1"
api_key = "k"
list_models = false
breaker = { failures = 100000, samples = 1000 }
[aliases]
chain = ["near/m", "claude/m", "gem/gemini-2.5-flash", "oai/m"]
[limits]
hedge = 0.05
retry_budget = 10
"""
MODELS = ("near/m", "plain/m", "claude/m", "gem/gemini-2.5-flash", "oai/m", "chain")
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}


def question(dice: random.Random, face: str, model: str) -> tuple[str, Any]:
    """(path, body) of a request in a dialect: streamed or whole, with tools or several choices now and then."""
    stream, tools = dice.random() < 0.7, dice.random() < 0.4
    said = [{"role": "user", "content": "Hello there"}]
    if face == "chat":
        more = {"tools": [TOOL]} if tools else {"n": 2} if dice.random() < 0.2 else {}
        return "/v1/chat/completions", {"model": model, "messages": said, "stream": stream, **more}
    if face == "messages":
        more = {"tools": [{"name": "look", "input_schema": SCHEMA}]} if tools else {}
        return "/v1/messages", {"model": model, "max_tokens": 1000, "messages": said, "stream": stream, **more}
    if face == "responses":
        more = {"tools": [{"type": "function", "name": "look", "parameters": SCHEMA}]} if tools else {}
        return "/v1/responses", {"model": model, "input": "Hello there", "stream": stream, "store": False, **more}
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/models/{model}:{method}", {"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]}


async def ask(there: House, dice: random.Random, told: Counter[int]) -> None:
    path, body = question(dice, dice.choice(["chat", "messages", "responses", "gemini"]), dice.choice(MODELS))
    fate, patience = dice.random(), dice.random() * 0.05
    headers = {"Authorization": f"Bearer {EVE}", "Connection": "close"}  # so that any worker may take it
    try:
        async with asyncio.timeout(
            patience if fate < 0.1 else 60
        ):  # who leaves so soon may leave before the first frame
            async with there.client.post(f"{there.gateway.url}{path}", json=body, headers=headers) as said:
                told[said.status] += 1
                if fate < 0.25:
                    await said.content.readany()
                    return
                await said.read()
    except (aiohttp.ClientError, TimeoutError):
        return


def wrong(row: Any, line: Line) -> str:
    """What is not as it was billed; empty if all is."""
    told = row["input"] or 0, row["cache_read"] or 0, row["output"] or 0
    if row["usage_source"] == "provider":
        billed = line.tokens_in - line.cached, line.cached, line.tokens_out
        return "" if told == billed else f"{told} and not {billed}"
    excused = not line.told or row["state"] in ("stopped", "lost_race", "failed")
    return "" if excused else f"it was told, and is {row['usage_source']}"


def priced(row: Any) -> int:
    """What its tokens cost: 1 and 2 dollars a million."""
    return ((row["input"] or 0) + (row["cache_read"] or 0)) * 10**6 + (row["output"] or 0) * 2 * 10**6


@pytest.mark.timeout(120 + COUNT / 5)
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.thorough), 2])
async def test_every_line_of_every_bill_has_its_row_to_the_token(workers: int) -> None:
    provider, dice, told = Ledger(random.Random(workers)), random.Random(7 + workers), Counter[int]()
    config = f"[server]\nworkers = {workers}\n" + budgeted("100/total", CONFIG)
    async with house(config, route=provider) as there:
        for _ in range(COUNT // 20):
            await asyncio.gather(*(ask(there, dice, told) for _ in range(20)))
        await settled(there, requests=1)
        rows = attempts(there.gateway.folder)
        found: dict[str, Any] = {row["provider_id"]: row for row in rows if row["provider_id"]}
        faults = {
            id: (wrong(found[id], line), {n: v for n, v in dict(found[id]).items() if v})
            for id, line in provider.bill.items()
            if id in found
        }
        assert {id: fault for id, fault in faults.items() if fault[0]} == {}
        assert [dict(row) for row in rows if row["cost_e12"] != priced(row)] == []
        nameless = [row for row in rows if not row["provider_id"]]
        assert {row["state"] for row in nameless} <= {"stopped", "lost_race", "failed"}
        assert len(found) + len(nameless) >= len(provider.bill)
        assert sum(row["usage_source"] == "provider" for row in rows) > COUNT / 4
        assert {status for status in told if status not in (200, 400, 429, 500, 502, 503, 529)} == set()
        there.gateway.stop()
        [(_, _, cost, leased)] = spent(there)
        assert (cost, leased) == (sum_of_rows(there), 0)
        with closing(sqlite3.connect(there.gateway.folder / "data" / "llmproxy.db")) as db:
            assert list(db.execute("SELECT count(*) FROM ledger WHERE state = 'open'")) == [(0,)]


def workers_of(there: House) -> list[int]:
    """Process ids of the workers that serve."""
    own = there.gateway.process.pid
    return [int(one) for one in Path(f"/proc/{own}/task/{own}/children").read_text().split()]


@pytest.mark.thorough
@pytest.mark.timeout(120 + 30 * KILLS)
async def test_after_a_worker_was_killed_in_any_moment_the_counters_are_the_rows() -> None:
    provider, dice, told = Ledger(random.Random(5)), random.Random(6), Counter[int]()
    config = "[server]\nworkers = 2\n" + budgeted("100/total, 50/day", CONFIG)
    async with house(config, route=provider) as there:
        for _ in range(KILLS):
            asking = [asyncio.ensure_future(ask(there, dice, told)) for _ in range(30)]
            await asyncio.sleep(dice.random() * 0.4)
            victim = dice.choice(workers_of(there))
            os.kill(victim, signal.SIGKILL)
            await asyncio.gather(*asking)

            async def replaced(victim: int = victim) -> bool:
                return victim not in (now := workers_of(there)) and len(now) == 2

            await soon(replaced)
        await asyncio.to_thread(there.gateway.stop)
        assert there.command("usage", "--json").returncode == 0  # ends what the dead have left
        rows = spent(there)
        assert {row[1] for row in rows} == {"total", "day"}
        assert [(cost, leased) for _, _, cost, leased in rows] == [(sum_of_rows(there), 0)] * 2
        with closing(sqlite3.connect(there.gateway.folder / "data" / "llmproxy.db")) as db:
            assert list(db.execute("SELECT count(*) FROM leases")) == [(0,)]
            assert list(db.execute("SELECT count(*) FROM attempts WHERE state IN ('open', 'opening')")) == [(0,)]
