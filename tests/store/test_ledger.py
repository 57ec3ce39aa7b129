"""Every request has one row, and the numbers of the page come from these rows."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llmproxy.store import Entry, Store, StoreError, ledger, spend
from llmproxy.store.performance import NOTHING, performance
from llmproxy.store.spend import PotKey, Spent
from tests.waiting import soon

NOW = 1_700_000_000.0
POT = PotKey("key:ann", "total", 0.0)


def entry(id: str = "r1", opened_at: float = NOW, **members: Any) -> Entry:
    return Entry(opened_at, id, "p1", provider="near", provider_model="m1")._replace(**members)


async def rows(store: Store) -> list[dict[str, Any]]:
    # Asked of the writer, which does what was queued before.
    found = await store.write(lambda db: db.execute("SELECT * FROM ledger ORDER BY opened_at, id").fetchall())
    return [dict(row) for row in found]


async def test_a_request_is_one_row_that_ends_once(store: Store) -> None:
    store.ledger.put(entry())
    store.ledger.flush()
    assert [row["state"] for row in await rows(store)] == ["open"]
    store.ledger.put(entry(state="completed", tokens_in=3))
    store.ledger.flush()
    assert [(row["state"], row["tokens_in"]) for row in await rows(store)] == [("completed", 3)]


async def test_opening_and_ending_in_one_moment_is_written_once(where: Path | str) -> None:
    async with Store(where) as store:
        written: list[int] = []

        def counting(job: Any, entries: list[ledger.Put]) -> Any:
            written.append(len(entries))
            return store.write(job, entries)

        book = ledger.Ledger(counting)
        book.put(entry())
        book.put(entry(state="completed"))
        book.flush()
        assert written == [1]
        assert [row["state"] for row in await rows(store)] == ["completed"]


async def test_closing_the_store_writes_what_waits(where: Path | str) -> None:
    async with Store(where) as store:
        store.ledger.put(entry())
    async with Store(where, ledger_days=10_000) as store:
        assert len(await rows(store)) == 1


async def test_entries_wait_while_the_disk_takes_none(store: Store) -> None:
    full = True

    def moody(job: Any, entries: list[ledger.Put]) -> Any:
        if full:
            raise StoreError("full")
        return store.write(job, entries)

    book = ledger.Ledger(moody)
    book.put(entry("a"))
    book.flush()
    book.put(entry("b"))
    full = False
    book.flush()
    assert [row["id"] for row in await rows(store)] == ["a", "b"]


async def test_entries_are_collected_while_others_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "LINGER", 0.0)
    submitted: list[tuple[set[str], asyncio.Future[None]]] = []

    def slow(job: Any, entries: list[ledger.Put]) -> Any:
        submitted.append(({one.id for one, _, _ in entries}, asyncio.get_running_loop().create_future()))
        return submitted[-1][1]

    book = ledger.Ledger(slow)
    for id in "abc":
        book.put(entry(id))
        for _ in range(3):
            await asyncio.sleep(0)
    assert [ids for ids, _ in submitted] == [{"a"}]
    submitted[0][1].set_result(None)
    await soon(lambda: more_than_one(submitted))
    assert submitted[1][0] == {"b", "c"}


async def more_than_one(submitted: list[Any]) -> bool:
    return len(submitted) > 1


@pytest.mark.parametrize("failing", ["both", "the first"])
async def test_an_entry_that_could_not_be_written_never_replaces_a_newer_one(store: Store, failing: str) -> None:
    submitted: list[tuple[Any, list[ledger.Put], asyncio.Future[None]]] = []

    def slow(job: Any, entries: list[ledger.Put]) -> Any:
        submitted.append((job, entries, asyncio.get_running_loop().create_future()))
        return submitted[-1][2]

    book = ledger.Ledger(slow)
    book.put(entry())
    book.flush()
    book.put(entry(state="completed"), (), [Spent(POT, "", 7)])
    book.flush()
    for number, (job, entries, done) in enumerate(submitted[:2]):
        if number and failing == "the first":
            await store.write(job, entries)
            done.set_result(None)
        else:
            done.set_exception(StoreError("away"))
    await asyncio.sleep(0)
    book.flush()
    for job, entries, _ in submitted[2:]:
        await store.write(job, entries)
    assert [row["state"] for row in await rows(store)] == ["completed"]
    assert (await store.write(spend.spent, [POT]))[POT] == (7, 0)


async def test_what_may_have_been_written_as_open_is_not_opened_again(store: Store) -> None:
    """As when nobody heard of its commit, and its process was considered dead meanwhile."""
    await store.write(ledger.write, [(entry(), (), ())])
    await store.write(ledger.lose, "p1", NOW)
    await store.write(ledger.write, [(entry(), (), ())], {(NOW, "r1")})
    assert [row["state"] for row in await rows(store)] == ["lost"]


async def test_what_a_request_cost_twice_in_one_moment_is_settled_twice(store: Store) -> None:
    """As where another request has continued its answer."""
    for cost in (3, 4):
        store.ledger.put(entry(state="cancelled"), (), [Spent(POT, "", cost)])
    store.ledger.flush()
    assert (await store.write(spend.spent, [POT]))[POT] == (7, 0)


async def test_entries_are_given_up_beyond_a_bound_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(job: Any, entries: list[ledger.Put]) -> Any:
        raise StoreError("full")

    monkeypatch.setattr(ledger, "KEPT_BACK", 3)
    book = ledger.Ledger(never)
    for number in range(5):
        book.put(entry(str(number)))
    book.flush()
    assert book.dropped == 2


async def test_old_rows_are_forgotten(where: Path | str) -> None:
    async with Store(where) as store:
        store.ledger.put(entry("old", state="completed"))
    async with Store(where, ledger_days=1) as store:
        assert await rows(store) == []


async def test_what_a_dead_process_left_open_is_lost(where: Path | str) -> None:
    async with Store(where, ledger_days=10_000) as store:
        store.ledger.put(entry())
    async with Store(where, ledger_days=10_000) as store:
        [row] = await rows(store)
    assert row["state"] == "lost"
    assert row["closed_at"] is not None


async def test_what_a_living_process_has_open_is_left_to_it(where: Path | str) -> None:
    async with Store(where, ledger_days=10_000) as one:
        one.ledger.put(entry(process=one.process))
        one.ledger.flush()
        assert len(await rows(one)) == 1
        async with Store(where, ledger_days=10_000) as other:
            assert [row["state"] for row in await rows(other)] == ["open"]


async def test_nothing_measured_is_said_as_nothing(store: Store) -> None:
    told = await store.write(performance, "hour", NOW)
    assert told["total"] == NOTHING
    assert told["models"] == []
    assert len(told["series"]["t"]) == len(told["series"]["requests"]) == 60
    assert set(told["series"]["ttft_p50_ms"]) == {None}


async def test_numbers_are_those_of_the_rows(store: Store) -> None:
    for number in range(1, 101):
        done = {"state": "completed", "ttft_ms": float(number), "duration_ms": number * 10.0, "tokens_out": 2}
        store.ledger.put(entry(f"r{number}", NOW - number, tokens_per_second=50.0, cost_e12=500_000_000_000, **done))
    store.ledger.put(entry("c", NOW - 1, state="cancelled", closed_ms=4.0, duration_ms=1e6))
    store.ledger.put(entry("f", NOW - 2, state="failed", code="upstream_truncated", provider="far"))
    store.ledger.put(entry("o", NOW - 3))
    store.ledger.put(entry("x", NOW - 90_000, state="completed"))
    store.ledger.flush()
    told = await store.write(performance, "hour", NOW)
    total = told["total"]
    assert (total["requests"], total["errors"], total["cancelled"], total["truncated"]) == (102, 1, 1, 1)
    assert total["error_rate"] == pytest.approx(1 / 102)
    assert (total["ttft_p50_ms"], total["ttft_p95_ms"]) == (50, 95)
    assert (total["latency_p50_ms"], total["latency_p95_ms"]) == (500, 950)
    assert (total["cancel_p50_ms"], total["tokens_per_second"], total["tokens_out"], total["cost"]) == (4, 50, 200, 50)
    assert [(one["provider"], one["model"], one["requests"]) for one in told["models"]] == [
        ("near", "m1", 101),
        ("far", "m1", 1),
    ]
    assert sum(told["series"]["requests"]) == 102
    assert told["series"]["t"][0] == told["from"]


@pytest.mark.parametrize(("window", "points"), [("hour", 60), ("day", 96), ("week", 84)])
async def test_the_present_is_in_the_last_point(store: Store, window: Any, points: int) -> None:
    store.ledger.put(entry(state="completed"))
    store.ledger.flush()
    series = (await store.write(performance, window, NOW))["series"]
    assert series["requests"] == [0] * (points - 1) + [1]
