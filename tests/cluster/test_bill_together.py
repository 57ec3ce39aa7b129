"""The ledger of three replicas on one database beside a provider's own bill; one of them is killed meanwhile.

LLMPROXY_BILLED_TOGETHER=N says how many requests; `make soak` makes 50,000.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from llmproxy.testing import Behaviour, Exchange, FakeProvider, chunk, sse
from llmproxy.testing.samples import as_bytes
from tests import postgres
from tests.accounts.house import answer, usage, written
from tests.accounts.test_budgets import EVE, SSE, budgeted
from tests.gateway import Gateway, running_gateway
from tests.waiting import soon

COUNT = int(os.environ.get("LLMPROXY_BILLED_TOGETHER", "500"))
CLIENTS = 24
LATE = 10.0  # seconds before a kill in which an answer may be billed whose row is not on disk yet: 50 ms and a commit
SUMS = "SELECT sum(spent_e12), (SELECT sum(cost_e12) FROM attempts) FROM spend"
JSON = {"content-type": "application/json"}


@dataclass
class Line:
    """What one call cost. at: when it was billed."""

    tokens_in: int
    tokens_out: int
    at: float
    question: str


@dataclass
class Provider:
    """Answers each call, one in five as a stream, and bills it as soon as it is asked."""

    dice: random.Random = field(default_factory=lambda: random.Random(5))
    bill: dict[str, Line] = field(default_factory=dict)

    def __call__(self, asked: Exchange) -> Behaviour | None:
        if asked.method != "POST":
            return None
        id = f"call-{len(self.bill):06d}"
        tokens_in, tokens_out = self.dice.randrange(5, 500), self.dice.randrange(4, 200)
        self.bill[id] = Line(tokens_in, tokens_out, time.time(), asked.json["messages"][0]["content"])
        counted = usage(tokens_in, tokens_out)
        if not asked.json.get("stream"):
            return Behaviour([as_bytes(answer(usage=counted))], 200, {**JSON, "x-request-id": id}, framing="length")
        frames = [sse(chunk({"content": "tok "}), done=False) for _ in range(4)]
        frames.append(sse(chunk({}, finish="stop"), {**chunk({}), "choices": [], "usage": counted}))
        return Behaviour(frames, headers={**SSE, "x-request-id": id}, every=0.001)


@dataclass
class Load:
    """Clients that ask one replica after the other. answered: the questions whose whole answer came from one that lives on.
    risked: those that the killed one was asked."""

    gateways: list[Gateway]
    client: aiohttp.ClientSession
    answered: set[str] = field(default_factory=set)
    risked: set[str] = field(default_factory=set)
    told: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    killed: float = 0.0

    async def run(self, count: int) -> None:
        """Half-way the last replica is killed."""
        await asyncio.gather(*(self._ask_until(count) for _ in range(CLIENTS)))

    async def _ask_until(self, count: int) -> None:
        while self.asked < count:
            number, self.asked = self.asked, self.asked + 1
            if number == count // 2:
                self.gateways[2].process.kill()
                self.killed = time.time()
            at = number % (2 if self.killed else 3)
            question = f"question {number}"
            if at == 2:
                self.risked.add(question)
            try:
                await self._ask(self.gateways[at], question, stream=number % 5 == 0)
            except aiohttp.ClientError:
                self.told["cut by the kill"] += 1

    async def _ask(self, gateway: Gateway, question: str, *, stream: bool) -> None:
        body = {"model": "near/m", "messages": [{"role": "user", "content": question}], "stream": stream}
        headers = {"Authorization": f"Bearer {EVE}"}
        async with self.client.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers) as said:
            raw = await said.read()
        self.told[f"status {said.status}"] += 1
        if said.status == 200 and question not in self.risked and (not stream or b"[DONE]" in raw):
            self.answered.add(question)


@pytest.mark.timeout(180 + COUNT / 10)
async def test_of_three_replicas_no_row_is_lost_or_doubled_and_what_a_kill_leaves_is_listed(
    postgres_url: str, tmp_path: Path
) -> None:
    provider, environment = Provider(), {"LLMPROXY_STORAGE_URL": postgres_url}
    began = time.monotonic()
    async with FakeProvider(route=provider) as served, aiohttp.ClientSession() as client:
        file = written(budgeted("1000/total"), served.port)
        with running_gateway(file, environment) as one, running_gateway(file, environment) as two:
            with running_gateway(file, environment) as three:
                load = Load([one, two, three], client)
                await load.run(COUNT)
                took = time.monotonic() - began
            told = {id for id, line in provider.bill.items() if line.question in load.answered}
            await soon(lambda: _ended(postgres_url, told), 120.0, every=0.1)
            [(spent, cost)] = postgres.execute(postgres_url, SUMS)
            assert spent == cost
            rows = _rows(postgres_url)
            unlisted = _compared(provider.bill, rows, load)
            deaths = sum(len(each.events("replica_taken_for_dead")) for each in (one, two))
            listed = _reconciled(tmp_path, provider.bill, unlisted, postgres_url, file)
    assert listed == unlisted
    unknown = sum(row["state"] == "unknown" for row in rows)
    print(
        f"\n{len(provider.bill)} lines of the bill, {len(rows)} rows, {dict(load.told)}, {unknown} unknown, "
        f"{len(unlisted)} listed by reconcile, {deaths} taken for dead, {took:.0f} s"
    )


async def _ended(url: str, told: set[str]) -> bool:
    """Whether the killed replica has been taken for dead, no request is open, and what the others have answered is written."""
    [(dead,)] = postgres.execute(url, "SELECT count(*) FROM replicas WHERE expires_at <= clock_timestamp()")
    [(alive,)] = postgres.execute(url, "SELECT count(*) FROM replicas")
    [(count,)] = postgres.execute(url, "SELECT count(*) FROM ledger WHERE state = 'open'")
    written = {id for (id,) in postgres.execute(url, "SELECT provider_id FROM attempts WHERE state = 'answered'")}
    return alive == 2 and not dead and not count and told <= written


def _rows(url: str) -> list[dict[str, Any]]:
    names = "provider_id", "state", "usage_source", "input", "output", "cost_e12"
    return [
        dict(zip(names, one, strict=True)) for one in postgres.execute(url, f"SELECT {', '.join(names)} FROM attempts")
    ]


def _compared(bill: dict[str, Line], rows: list[dict[str, Any]], load: Load) -> set[str]:
    """The lines that have no row with their numbers: only what the killed replica was asked, at its end or just before it."""
    named = [row["provider_id"] for row in rows if row["provider_id"]]
    assert len(named) == len(set(named)), "no row twice"
    found = {row["provider_id"]: row for row in rows if row["state"] == "answered"}
    assert set(found) <= set(bill)
    for id, row in found.items():
        line = bill[id]
        assert (row["input"], row["output"]) == (line.tokens_in, line.tokens_out), id
        assert row["cost_e12"] == line.tokens_in * 10**6 + line.tokens_out * 2 * 10**6, id
    for what, of in (("tokens_in", "input"), ("tokens_out", "output")):
        assert sum(row[of] for row in found.values()) == sum(getattr(bill[id], what) for id in found)
    without = set(bill) - set(found)
    assert {bill[id].question for id in without} <= load.risked
    assert [id for id in without if bill[id].at < load.killed - LATE] == []
    return without


def _reconciled(folder: Path, bill: dict[str, Line], unlisted: set[str], url: str, config: str) -> set[str]:
    """The lines that `llmproxy usage reconcile` says are missing, differ or were unknown, of those and as many good ones."""
    lines = [*unlisted, *[id for id in bill if id not in unlisted][:200]]
    file, export = folder / "llmproxy.toml", folder / "bill.jsonl"
    file.write_text(config)
    export.write_text(
        "\n".join(
            json.dumps({"id": id, "input_tokens": bill[id].tokens_in, "output_tokens": bill[id].tokens_out})
            for id in lines
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "llmproxy", "usage", "reconcile", str(export), "--config", str(file)],
        cwd=folder, env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "LLMPROXY_STORAGE_URL": url},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["equal"] == len(lines) - len(unlisted), done.stderr
    return {one["id"] for kind in ("missing", "differs", "settled") for one in told[kind]}
