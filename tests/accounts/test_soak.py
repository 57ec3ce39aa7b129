"""Everything at once, for as long as one likes: clients of all dialects, workers that are killed, reloads, keys that come and go,
outsiders on the database, a dead name server, JSON that is too deep. Nothing may be lost, leaked or wrong afterwards.

LLMPROXY_SOAK_SECONDS says for how long; `make soak` takes ten minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from tests.accounts.house import ROOT, House, house
from tests.accounts.test_bill import attempts
from tests.accounts.test_bill_dialects import CONFIG, ask, priced, workers_of, wrong
from tests.accounts.test_budgets import EVE, budgeted, spent, sum_of_rows
from tests.accounts.wires import Ledger

SECONDS = float(os.environ.get("LLMPROXY_SOAK_SECONDS", "4"))
CLIENTS = 20
LOST = """
[providers.lost]
adapter = "compatible"
base_url = "http://no-such-host.invalid/v1"
api_key = "k"
list_models = false
"""
FINE = {200, 400, 429, 500, 502, 503, 529}  # what the provider says, or a worker that was just killed
Count = Counter[str]


async def clients(there: House, dice: random.Random, told: Count) -> None:
    statuses: Counter[int] = Counter()
    await ask(there, dice, statuses)
    told["requests"] += 1
    told.update(f"status {status}" for status in statuses)


async def a_dead_name(there: House, dice: random.Random, told: Count) -> None:
    body = {"model": "lost/m", "messages": [{"role": "user", "content": "hi"}], "stream": dice.random() < 0.5}
    status, answer, _ = await there.call("POST", "/v1/chat/completions", ROOT, body)
    assert (status, answer["error"]["code"]) in ((502, "upstream_dns"), (503, "upstream_unavailable")), answer
    told["dead names"] += 1
    await asyncio.sleep(0.2)


async def deep_json(there: House, dice: random.Random, told: Count) -> None:
    deep = "[" * 5000 + "]" * 5000
    text = f'{{"model": "near/m", "messages": [{{"role": "user", "content": "hi"}}], "metadata": {deep}}}'
    path = dice.choice(["/v1/chat/completions", "/v1/messages", "/v1/responses", "/threads"])
    headers = {"Authorization": f"Bearer {EVE}", "Content-Type": "application/json"}
    async with there.client.post(f"{there.gateway.url}{path}", data=text, headers=headers) as said:
        assert said.status in (400, 503), said.status
    told["deep bodies"] += 1
    await asyncio.sleep(0.1)


async def keys(there: House, dice: random.Random, told: Count) -> None:
    """One comes, is used, changed, renewed and revoked; its group is deleted after it."""
    name = f"key-{told['keys']}-{dice.randrange(10**9)}"
    await there.call("POST", "/api/groups", ROOT, {"name": name, "rpm": 10_000})
    status, made, _ = await there.call("POST", "/api/keys", ROOT, {"name": name, "group": name, "budget": "1/day"})
    assert status == 201, made
    for path, method, body in (
        (f"/api/keys/{name}", "PATCH", {"max_parallel": dice.randrange(1, 9)}),
        (f"/api/keys/{name}/rotate", "POST", {"overlap": "1h"}),
    ):
        status, answer, _ = await there.call(method, path, ROOT, body)
        assert status == 200, answer
    await there.call("GET", "/v1/requests", made["secret"])
    assert (await there.call("DELETE", f"/api/keys/{name}", ROOT))[0] == 200
    # The client sends a DELETE again where a killed worker has cut its connection, which then may be done already.
    assert (await there.call("DELETE", f"/api/groups/{name}", ROOT))[0] in (200, 404)
    told["keys"] += 1


async def reloads(there: House, dice: random.Random, told: Count) -> None:
    """A changed file, now and then one with an error."""
    file = there.gateway.folder / "llmproxy.toml"
    fine = file.read_text()
    broken = dice.random() < 0.3
    replace(file, fine + ("\n[nonsense" if broken else ""))
    there.gateway.process.send_signal(signal.SIGHUP)
    await asyncio.sleep(0.5)
    replace(file, fine)
    there.gateway.process.send_signal(signal.SIGHUP)
    told["broken reloads" if broken else "reloads"] += 1
    await asyncio.sleep(1)


def replace(file: Path, text: str) -> None:
    """As an editor does: nobody reads half of it, which would be a file without some of the keys."""
    fresh = file.with_suffix(".fresh")
    fresh.write_text(text)
    fresh.replace(file)


async def outsiders(there: House, dice: random.Random, told: Count) -> None:
    database = there.gateway.folder / "data" / "llmproxy.db"

    def look() -> None:
        with closing(sqlite3.connect(database, timeout=30)) as db:
            db.execute("SELECT count(*) FROM attempts").fetchone()

    await asyncio.to_thread(look)
    if dice.random() < 0.1:
        await a_backup(there, told)
    told["outsiders"] += 1
    await asyncio.sleep(0.3)


async def a_backup(there: House, told: Count) -> None:
    """Reads the configuration, too, which may just have an error."""
    target = there.gateway.folder / f"copy-{told['backups']}.db"
    done = await asyncio.to_thread(there.command, "backup", str(target))
    if "is not valid TOML" in done.stderr:
        return
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(target)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    target.unlink()
    told["backups"] += 1


async def killings(there: House, dice: random.Random, told: Count) -> None:
    """Five in ten seconds at most: with more the supervisor gives up."""
    await asyncio.sleep(dice.uniform(2.1, 5))
    if len(found := workers_of(there)) == 2:
        os.kill(dice.choice(found), signal.SIGKILL)
        told["killed workers"] += 1


Actor = Callable[[House, random.Random, Count], Awaitable[None]]
ACTORS: tuple[Actor, ...] = (a_dead_name, deep_json, keys, reloads, outsiders, killings, *[clients] * CLIENTS)


async def until(ends: float, actor: Actor, there: House, dice: random.Random, told: Count) -> None:
    """A worker that is killed takes its connections along: who was just asking asks again."""
    while asyncio.get_running_loop().time() < ends:
        try:
            await actor(there, dice, told)
        except (aiohttp.ClientError, ConnectionError):
            told["cut by a kill"] += 1


@pytest.mark.timeout(240 + 2 * SECONDS)
@pytest.mark.thorough
async def test_nothing_is_lost_leaked_or_wrong_after_everything_at_once() -> None:
    provider, dice, told = Ledger(random.Random(1)), random.Random(2), Count()
    config = "[server]\nworkers = 2\n" + budgeted("1000/total, 500/day", CONFIG + LOST)
    async with house(config, route=provider) as there:
        await there.call("GET", "/api/usage", ROOT)  # the database is made by its first use
        ends = asyncio.get_running_loop().time() + SECONDS
        async with asyncio.TaskGroup() as group:
            for actor in ACTORS:
                group.create_task(until(ends, actor, there, random.Random(dice.random()), told))
        await asyncio.to_thread(there.gateway.stop)
        assert there.command("usage", "--json").returncode == 0  # ends what the killed have left
        print(json.dumps(dict(sorted(told.items()))))
        assert {int(name.split()[1]) for name in told if name.startswith("status ")} <= FINE
        rows = attempts(there.gateway.folder)
        found = {row["provider_id"]: row for row in rows if row["provider_id"] and row["state"] != "unknown"}
        assert {
            id: wrong(found[id], line) for id, line in provider.bill.items() if id in found and wrong(found[id], line)
        } == {}
        alive = [
            row for row in rows if row["owner"] == "eve" and row["state"] != "unknown"
        ]  # others cost what they held
        assert [dict(row) for row in alive if row["cost_e12"] != priced(row)] == []
        money = [row for row in spent(there) if row[0] == "key:eve"]
        assert [(cost, leased) for _, _, cost, leased in money] == [(sum_of_rows(there), 0)] * 2
        with closing(sqlite3.connect(there.gateway.folder / "data" / "llmproxy.db")) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            for left in (
                "FROM leases",
                "FROM attempts WHERE state IN ('open', 'opening')",
                "FROM ledger WHERE state = 'open'",
            ):
                assert db.execute(f"SELECT count(*) {left}").fetchone() == (0,)
        for event in ("internal_error", "job_failed", "adapter_failed", "library_log", "storage_failed"):
            assert there.gateway.events(event) == [], event
