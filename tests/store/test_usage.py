"""What was used, summed from the attempts, beside what providers bill."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from llmproxy.core.record import AttemptRecord
from llmproxy.core.usage import Tokens
from llmproxy.store import Store
from llmproxy.store.ledger import AttemptRow, Entry
from llmproxy.store.usage import Billed, Span, reconcile, usage

DAY = 86_400.0
NOON = 1_700_000_000.0
EVER = Span(0, math.inf)


def attempt(number: int = 1, **members: Any) -> AttemptRecord:
    plain: dict[str, Any] = {
        "number": number, "provider": "near", "model": "m", "state": "answered", "code": None, "sent": True,
        "tokens": Tokens(input=10, cache_read=5, output=7), "usage_source": "provider", "reported_cost": None, "ttft_ms": 1.0,
        "duration_ms": 2.0, "provider_id": None, "cost_e12": 1000, "price_id": "p",
    }  # fmt: skip
    return AttemptRecord(**{**plain, **members})


def put(store: Store, id: str, *tries: AttemptRecord, owner: str = "ann", at: float = NOON) -> None:
    entry = Entry(at, id, store.process, owner, state="completed")
    rows = [AttemptRow._make((at, id, one.number, owner, "", *_rest(one))) for one in tries]
    store.ledger.put(entry, rows)
    store.ledger.flush()


def _rest(one: AttemptRecord) -> tuple[Any, ...]:
    tokens = one.tokens or (None,) * len(Tokens._fields)
    head = (one.provider, one.model, one.state, one.code, one.sent, one.provider_id)
    return (*head, *tokens, one.usage_source, one.cost_e12, one.price_id, one.ttft_ms, one.duration_ms)


async def rows(store: Store) -> list[dict[str, Any]]:
    found = await store.write(lambda db: db.execute("SELECT * FROM attempts ORDER BY id, number").fetchall())
    return [dict(row) for row in found]


async def test_failed_and_lost_attempts_have_rows_of_their_own(store: Store) -> None:
    put(store, "r1", attempt(1, state="failed", tokens=None, cost_e12=None), attempt(2, state="lost_race"), attempt(3))
    found = await rows(store)
    assert [(row["number"], row["state"], row["output"], row["cost_e12"]) for row in found] == [
        (1, "failed", None, None),
        (2, "lost_race", 7, 1000),
        (3, "answered", 7, 1000),
    ]
    [summed] = await store.write(usage, "key", EVER)
    assert (summed["requests"], summed["attempts"], summed["cost_e12"], summed["tokens"]["output"]) == (1, 3, 2000, 14)


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("key", ["bob", "ann"]),
        ("provider", ["far", "near"]),
        ("model", ["far/m", "near/m"]),
        ("day", ["2023-11-15", "2023-11-14"]),
        ("group", [""]),
    ],
)
async def test_sums_are_told_by_what_is_asked(store: Store, by: Any, keys: list[str]) -> None:
    put(store, "r1", attempt())
    put(store, "r2", attempt(provider="far", cost_e12=5000), owner="bob", at=NOON + DAY)
    assert [row[by] for row in await store.write(usage, by, EVER)] == keys


async def test_a_span_and_an_owner_narrow_it_down(store: Store) -> None:
    put(store, "r1", attempt())
    put(store, "r2", attempt(), owner="bob", at=NOON + DAY)
    assert [row["key"] for row in await store.write(usage, "key", Span(NOON + 1, math.inf))] == ["bob"]
    assert [row["key"] for row in await store.write(usage, "key", Span(0, NOON + DAY))] == ["ann"]
    assert [row["key"] for row in await store.write(usage, "key", EVER, "bob")] == ["bob"]


async def test_what_has_no_price_or_is_estimated_is_counted_as_that(store: Store) -> None:
    put(store, "r1", attempt(cost_e12=None), attempt(2, usage_source="estimated"))
    [summed] = await store.write(usage, "key", EVER)
    assert (summed["unpriced"], summed["estimated"], summed["cost"]) == (1, 1, 1000 / 1e12)


async def test_the_fate_of_an_attempt_whose_process_died_is_unknown(where: Path | str) -> None:
    async with Store(where, ledger_days=10_000) as store:
        store.ledger.put(
            Entry(NOON, "r1", "dead"), [AttemptRow._make((NOON, "r1", 1, "", "", *_rest(attempt(state="open"))))]
        )
    async with Store(where, ledger_days=10_000) as store:
        assert [row["state"] for row in await rows(store)] == ["unknown"]


async def test_a_bill_is_compared_line_by_line(store: Store) -> None:
    put(store, "r1", attempt(provider_id="gen-1"))
    put(store, "r2", attempt(provider_id="gen-2"))
    put(store, "r3", attempt(provider_id="gen-3", state="unknown", tokens=None, cost_e12=None))
    lines = [
        Billed("gen-1", 15, 7, 1000),
        Billed("gen-2", 15, 9, None),
        Billed("gen-3", 4, 5, 60),
        Billed("x", 1, 1, 1),
    ]
    told = await store.write(reconcile, lines)
    assert (told["lines"], told["equal"]) == (4, 1)
    assert told["differs"] == [{"id": "gen-2", "here": {"tokens_out": 7}, "billed": {"tokens_out": 9}}]
    assert [one["id"] for one in told["missing"]] == ["x"]
    assert [one["id"] for one in told["settled"]] == ["gen-3"]
    settled = (await rows(store))[2]
    assert (settled["state"], settled["input"], settled["output"], settled["cost_e12"]) == ("answered", 4, 5, 60)
    again = await store.write(reconcile, lines)
    assert (again["equal"], again["settled"]) == (2, [])
