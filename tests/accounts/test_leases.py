"""Budgets while their database is away: as far as what is leased reaches, for as long as others let it count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from llmproxy.config import Budgets
from llmproxy.core.errors import Cancelled, GatewayError, StoreError
from llmproxy.core.metering import Meter
from llmproxy.store import Store, spend
from llmproxy.store.spend import Spent
from tests.accounts.test_spending import RATE, Growing, House, counted, of


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with Store(None) as made:
        yield made


def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing can be leased."""

    def fails(*_: Any) -> Any:
        raise StoreError("The database cannot be used.")

    monkeypatch.setattr(spend, "buy", fails)


async def refused(there: House) -> None:
    with pytest.raises(GatewayError) as error:
        await there.begin()
    assert (error.value.status, error.value.code, error.value.headers["Retry-After"]) == (
        503,
        "budget_unavailable",
        "1",
    )


async def grown(meter: Meter, times: int) -> None:
    """As by an answer that always writes more than there is held for."""
    for _ in range(times):
        await meter.grow(Growing(meter.reach + 1))  # type: ignore[arg-type, attr-defined]


async def test_what_is_leased_is_still_spent(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    there = House(store, [of(1000)])
    meter, attempt, _ = await there.begin()
    away(monkeypatch)
    meter.settle(counted(attempt, 100))
    await there.begin()
    assert there.pot.granted == 900 * RATE


async def test_where_nothing_is_leased_it_is_said_that_nobody_can_ask(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    away(monkeypatch)
    await refused(House(store, [of(1000)]))


async def test_a_stream_that_needs_more_than_is_leased_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    there = House(store, [of(1000)], shares=4)
    meter, _, _ = await there.begin()
    away(monkeypatch)
    with pytest.raises(Cancelled) as error:
        await grown(meter, 100)
    assert (error.value.status, error.value.code) == (503, "budget_unavailable")
    assert there.pot.held <= there.pot.granted


async def test_a_budget_that_only_warns_refuses_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    away(monkeypatch)
    there = House(store, [of(1000)], Budgets(mode="soft"))
    await there.begin()
    assert there.pot.held > 0


async def test_a_lease_ends_before_others_take_this_process_for_dead(store: Store) -> None:
    there = House(store, [of(1000)])
    await there.begin()
    store.lives_until = time.monotonic() - 1
    await refused(there)


async def test_a_process_that_was_taken_for_dead_has_leased_nothing(store: Store) -> None:
    there = House(store, [of(1000)], shares=4)
    meter, attempt, wallet = await there.begin()
    before = store.process
    store.process = "born anew"
    assert (there.pot.granted, there.pot.held, there.pot.process) == (0, 0, "born anew")
    with pytest.raises(Cancelled, match="cannot be reached"):
        await meter.grow(Growing(meter.reach + 1))  # type: ignore[arg-type]
    meter.settle(counted(attempt, 10))
    assert wallet.spent == [Spent(there.pot.key, before, 10 * RATE)]  # which the store knows to be settled
    assert there.pot.granted == 0


async def test_what_could_not_be_given_back_is_still_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    there = House(store, [of(1000)])
    meter, attempt, wallet = await there.begin()
    meter.settle(counted(attempt, 100))
    await there.told(wallet)

    def fails(*_: Any) -> Any:
        raise StoreError("The database cannot be used.")

    with monkeypatch.context() as patched:
        patched.setattr(spend, "give_back", fails)
        await there.bank.close()
    assert there.pot.free == 900 * RATE
    await there.bank.close()
    assert await there.row(there.pot.key) == (100 * RATE, 0)


class Unsure:
    """A database that breaks off while it commits: what was asked is written, or not, and nobody hears of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: Store, name: str, *, written: bool) -> None:
        self._real, self._written = store.write, written
        self._job = getattr(spend, name)
        self.times = 1
        monkeypatch.setattr(store, "write", self)

    def __call__(self, job: Any, *given: Any) -> asyncio.Future[Any]:
        if job is not self._job or not self.times:
            return self._real(job, *given)
        self.times -= 1
        return asyncio.ensure_future(self._broken(job, *given))

    async def _broken(self, job: Any, *given: Any) -> None:
        if self._written:
            await self._real(job, *given)
        error = StoreError("The connection was lost.")
        error.unsure = True
        raise error


@pytest.mark.parametrize("written", [True, False])
async def test_a_purchase_that_was_never_acknowledged_is_found_when_the_database_is_back(
    store: Store, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    there = House(store, [of(1000)])
    Unsure(monkeypatch, store, "buy", written=written)
    await refused(there)
    meter, attempt, wallet = await there.begin()
    assert there.pot.granted == 1000 * RATE
    meter.settle(counted(attempt, 100))
    await there.told(wallet)
    await there.bank.close()
    assert await there.row(there.pot.key) == (100 * RATE, 0)


@pytest.mark.parametrize("written", [True, False])
async def test_what_was_given_back_without_an_answer_is_neither_lost_nor_leased_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    there = House(store, [of(1000)])
    meter, attempt, wallet = await there.begin()
    meter.settle(counted(attempt, 100))
    await there.told(wallet)
    Unsure(monkeypatch, store, "give_back", written=written)
    await there.bank.close()
    assert there.pot.granted == 0
    await there.bank.tidy()
    assert there.pot.granted == (0 if written else 900 * RATE)
    await there.bank.close()
    assert await there.row(there.pot.key) == (100 * RATE, 0)


async def test_a_lease_that_nobody_asks_for_any_more_is_settled_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = House(store, [of(1000)], shares=4)
    Unsure(monkeypatch, store, "buy", written=True)
    await refused(there)
    assert (await there.row(there.pot.key))[1] > 0
    await there.bank.tidy()
    assert await there.row(there.pot.key) == (0, 0)
