"""The sums of many requests are those of their rows, whenever and in whatever order they ended; percentiles are within 2 %."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmproxy.core.chat import Json
from llmproxy.store import Entry, Store, ledger, performance, rollups
from llmproxy.store.performance import WINDOWS, Window
from tests import postgres
from tests.waiting import soon

NOW = time.time()
DAYS = 86_400.0
PERCENTILES = {name for one in performance.MEASURES for name in (one.p50, one.p95) if name}


def ended(number: int, dice: random.Random, opened_at: float, process: str = "p") -> Entry:
    state = dice.choices(("completed", "cancelled", "failed", "lost"), (80, 10, 8, 2))[0]
    took = dice.lognormvariate(7, 1)
    return Entry(
        opened_at,
        f"r{number}",
        process,
        state=state,  # type: ignore[arg-type]
        code="upstream_truncated" if dice.random() < 0.05 else None,
        model="asked",
        provider=dice.choice(("near", "far", None)),
        provider_model=dice.choice(("m1", "m2", None)),
        tokens_in=dice.randrange(1000) if dice.random() < 0.9 else None,
        tokens_out=dice.randrange(1000),
        cost_e12=dice.randrange(10**12) if dice.random() < 0.5 else None,
        ttft_ms=took / 4 if dice.random() < 0.9 else None,
        duration_ms=took,
        closed_ms=dice.random() if state == "cancelled" else None,
        tokens_per_second=dice.lognormvariate(3, 1) if dice.random() < 0.7 else None,
    )


def requests(count: int, days: float, seed: int = 1) -> list[Entry]:
    dice = random.Random(seed)
    return [ended(number, dice, NOW - dice.random() * days * DAYS) for number in range(count)]


async def written(store: Store, entries: Sequence[Entry]) -> None:
    await store.write(ledger.write, [(entry, (), ()) for entry in entries])


async def unsummed(store: Store) -> None:
    """As a database of before, that has rows and no sums."""
    await store.write(lambda db: db.execute("DELETE FROM rollups") and db.execute("DELETE FROM progress"))


async def summed(store: Store, rows: int = 10_000) -> None:
    while await store.write(rollups.advance, time.time(), rows):
        pass


async def both(store: Store, window: Window, monkeypatch: pytest.MonkeyPatch) -> tuple[Json, Json]:
    """What is told from the sums, and from the rows."""
    told = []
    for exact in (0, 10**9):
        monkeypatch.setattr(performance, "EXACT", exact)
        told.append(await store.write(performance.performance, window, time.time()))
    assert [one["approximate"] for one in told] == [True, False]
    return told[0], told[1]


def assert_same(sums: Json, rows: Json) -> None:
    for name, exact in rows.items():
        if name in PERCENTILES:
            assert (sums[name] is None) == (exact is None), name
            assert exact is None or sums[name] == pytest.approx(exact, rel=0.021), name
        elif isinstance(exact, float):
            assert sums[name] == pytest.approx(exact), name
        else:
            assert sums[name] == exact, name


def assert_told_the_same(sums: Json, rows: Json) -> None:
    assert_same(sums["total"], rows["total"])
    named = [{(one["provider"], one["model"]): one for one in told["models"]} for told in (sums, rows)]
    assert named[0].keys() == named[1].keys()
    for target, exact in named[1].items():
        assert_same(named[0][target], exact)
    for name, points in rows["series"].items():
        for at, exact in enumerate(points):
            assert_same({name: sums["series"][name][at]}, {name: exact})


@pytest.mark.parametrize("window", ["day", "week"])
async def test_they_tell_what_the_rows_tell(store: Store, window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    await written(store, requests(800, 8.0))
    await unsummed(store)
    await summed(store)
    assert_told_the_same(*await both(store, window, monkeypatch))


async def test_what_was_not_summed_yet_counts_as_well(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await written(store, requests(600, 7.0))
    await unsummed(store)
    await store.write(rollups.advance, time.time(), 200)
    assert_told_the_same(*await both(store, "week", monkeypatch))


async def test_a_request_that_ends_after_its_row_was_passed_is_added_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = requests(500, 7.0)
    late = entries[::3]
    await written(store, [Entry(one.opened_at, one.id, one.process) for one in entries])
    await written(store, [one for one in entries if one not in late])
    await summed(store)
    await written(store, late[:50])
    await written(store, late[25:])  # some are written again
    assert_told_the_same(*await both(store, "week", monkeypatch))


async def test_a_request_that_ends_while_another_replica_moves_the_mark_past_it_is_added_once(
    postgres_url: str,
) -> None:
    """The mark is moved while the request's end is written, and not on disk yet."""
    engine = pytest.importorskip("llmproxy.store.postgres.engine").Postgres(postgres_url)
    row = ended(1, random.Random(1), time.time() - rollups.BEHIND - 100)
    with closing(engine.connect()) as one, closing(engine.connect()) as other:
        rollups.advance(one, row.opened_at)
        ledger.write(one, [(row._replace(state="open"), (), ())])

        def moved() -> None:
            other.execute("BEGIN")
            while rollups.advance(other, time.time()):
                pass
            other.execute("COMMIT")

        one.execute("BEGIN")
        ledger.write(one, [(row, (), ())])
        moving = asyncio.ensure_future(asyncio.to_thread(moved))

        async def moved_or_waits() -> bool:
            return moving.done() or await postgres.waits(postgres_url)

        await soon(moved_or_waits)
        one.execute("COMMIT")
        await moving
        start = row.opened_at // 900 * 900
        assert rollups.mark(one)[0] > row.opened_at
        assert rollups.number(one, 900, start, start + 900) == 1


async def test_what_a_dead_process_left_open_is_added_as_lost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await written(store, [Entry(NOW - 2 * DAYS - number, f"o{number}", "dead") for number in range(20)])
    await summed(store)
    await store.write(ledger.lose, "dead", time.time())
    sums, rows = await both(store, "week", monkeypatch)
    assert sums["total"]["errors"] == 20
    assert_told_the_same(sums, rows)


async def test_many_requests_are_told_from_sums_and_few_from_their_rows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(performance, "EXACT", 100)
    for count, approximate in ((100, False), (101, True)):
        await written(store, requests(count, 6.0))
        told = await store.write(performance.performance, "week", time.time())
        assert (told["total"]["requests"], told["approximate"]) == (count, approximate)


async def test_a_slice_reads_no_more_rows_than_it_is_told(store: Store) -> None:
    await written(store, requests(250, 7.0))
    await unsummed(store)
    seen = []
    for more in (True, True, False):
        assert await store.write(rollups.advance, time.time(), 100) is more
        seen.append(await store.write(lambda db: int(db.execute("SELECT sum(requests) FROM rollups").fetchone()[0])))
    assert seen[:2] == [2 * 100, 2 * 200]  # each request is in the sums of two steps


async def test_a_database_of_before_is_summed_in_slices_after_it_was_opened(
    where: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "ROWS", 100)
    async with Store(where) as store:
        await written(store, requests(400, 6.0))
        await unsummed(store)
    async with Store(where) as store:
        await store.write(lambda db: None)
        while store._chores.busy or store._unfinished:
            await store.write(lambda db: None)
        place = (await store.write(rollups.mark))[0]
    assert place > NOW - rollups.BEHIND - 60


async def test_sums_that_nobody_asks_for_are_removed(store: Store) -> None:
    await written(store, requests(500, 20.0))
    await summed(store)
    await store.write(rollups.forget, NOW - 4 * DAYS, NOW)
    left: Any = await store.write(lambda db: db.execute("SELECT step, min(start) FROM rollups GROUP BY 1").fetchall())
    assert all(start >= NOW - 4 * DAYS - step for step, start in left)
    assert {step for step, _ in left} == {900, 7200}
    assert dict(map(tuple, left))[900] >= NOW - 2 * DAYS


def test_every_step_of_a_window_that_has_sums_is_made_of_whole_sums() -> None:
    assert {step for _, step in WINDOWS.values() if step in rollups.STEPS} == set(rollups.STEPS)
    assert rollups.LATE < rollups.BEHIND
