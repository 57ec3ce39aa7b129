"""What was used and what it cost, asked of a running gateway."""

from __future__ import annotations

import json

import pytest

from tests.accounts.house import ANN, ASK, BOB, ROOT, answer, house, usage

pytestmark = pytest.mark.usefixtures("place")


async def test_every_attempt_is_in_the_ledger_with_its_price() -> None:
    async with house() as there:
        there.provider.fails(503)
        there.provider.answers(answer(usage=usage(100, 50, prompt_tokens_details={"cached_tokens": 40})))
        there.provider.answers(answer(usage=usage(10, 5, cost=0.25)))
        there.provider.answers(answer())
        await there.ask(ANN)
        await there.ask(BOB)
        await there.ask(BOB, {**ASK, "model": "far/m"})
        status, told, _ = await there.call("GET", "/api/usage", ROOT)
        assert status == 200
        bob, ann = told["data"]
        assert (bob["key"], bob["cost"], bob["requests"], bob["unpriced"]) == ("bob", 0.25, 2, 1)
        assert (ann["requests"], ann["attempts"], ann["cost_e12"]) == (1, 2, 100 * 10**6 + 50 * 2 * 10**6)
        assert (ann["tokens"]["input"], ann["tokens"]["cache_read"], ann["tokens"]["output"]) == (60, 40, 50)
        _, by_model, _ = await there.call("GET", "/api/usage?by=model", ROOT)
        assert {row["model"]: row["unpriced"] for row in by_model["data"]} == {"near/m": 0, "far/m": 1}


async def test_a_key_sees_what_it_used_and_nothing_else() -> None:
    async with house() as there:
        there.provider.answers(answer())
        there.provider.answers(answer())
        await there.ask(ANN)
        await there.ask(BOB)
        _, told, _ = await there.call("GET", "/api/usage", BOB)
        assert [row["key"] for row in told["data"]] == ["bob"]


async def test_what_cannot_be_meant_is_refused() -> None:
    async with house() as there:
        for query, name in (("by=colour", "by"), ("since=yesterday", "since")):
            status, told, _ = await there.call("GET", f"/api/usage?{query}", ANN)
            assert (status, told["error"]["param"]) == (400, name)


async def test_the_command_says_the_same_beside_the_running_gateway() -> None:
    async with house() as there:
        there.provider.answers(answer(), headers={"content-type": "application/json", "x-request-id": "up-1"})
        await there.ask(ANN)
        _, told, _ = await there.call("GET", "/api/usage", ROOT)
        assert json.loads(there.command("usage", "--json").stdout) == told["data"]
        assert "ann" in there.command("usage").stdout
        assert there.command("usage", "--csv", "--by", "day").stdout.startswith("day,requests,attempts,")
        bill = there.gateway.folder / "bill.csv"
        bill.write_text("request_id,prompt_tokens,completion_tokens,cost\nup-1,10,5,0.00002\nup-9,1,1,1\n")
        compared = there.command("usage", "reconcile", str(bill))
        said = json.loads(compared.stdout)
        assert (said["equal"], [one["id"] for one in said["missing"]], compared.returncode) == (1, ["up-9"], 1)


async def test_what_runs_shows_its_cost_when_it_has_ended() -> None:
    async with house() as there:
        there.provider.answers(answer())
        await there.ask(ANN, X_Request_ID="a-request-1")
        _, shown, _ = await there.call("GET", "/v1/requests/a-request-1", ANN)
        assert shown["cost"] == 20e-6
        assert shown["tries"][0]["tokens"]["output"] == 5
