"""Leases, holds and their settling, with a clock that a test sets and a store in memory."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from llmproxy.accounts.bank import Bank
from llmproxy.accounts.meter import LONGEST_ANSWER, AttemptMeter
from llmproxy.accounts.pot import Pot
from llmproxy.accounts.prices import Prices
from llmproxy.accounts.pricing import Place, Pricing
from llmproxy.accounts.wallet import Wallet
from llmproxy.config import Budget, Budgets
from llmproxy.core.chat import Chat
from llmproxy.core.errors import BadRequest, Cancelled, GatewayError
from llmproxy.core.trace import Attempt
from llmproxy.core.usage import Tokens, Usage
from llmproxy.store import Store, spend
from llmproxy.store.spend import PotKey, Spent

DAY = 86_400.0
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
RATE = 100  # of one token of output, in 1e-12 dollars; input costs nothing
PRICING = Pricing(Prices({"p/*": {"input": 0, "output": RATE / 1e6}}), {"p": Place("http://p")})


@dataclass
class Growing:
    """A translator, as far as a meter looks at it."""

    produced: int = 0
    usage: Usage | None = None
    done: bool = False
    grace: float | None = None


@dataclass
class House:
    store: Store
    budgets: list[tuple[str, Budget]]
    settings: Budgets = field(default_factory=Budgets)
    shares: int = 1
    now: float = NOON
    warned: list[Pot] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bank = Bank(lambda: self.store, self.settings, self.shares, clock=lambda: self.now)

    def wallet(self) -> Wallet:
        return Wallet(self.bank, lambda: list(self.budgets), {}, None, self.warned.append, pricing=PRICING)

    async def begin(self, wallet: Wallet | None = None, **asked: Any) -> tuple[AttemptMeter, Attempt, Wallet]:
        wallet = wallet or self.wallet()
        attempt = Attempt(1, "p", "m", time.monotonic(), sent=True)
        meter, _ = await wallet.begin(Chat({"messages": [], **asked}, "m"), "p", attempt, streams=True)
        assert isinstance(meter, AttemptMeter)
        return meter, attempt, wallet

    async def told(self, wallet: Wallet) -> None:
        """Writes what a request cost, as its rows do."""
        await self.store.write(spend.settle, wallet.spent)

    async def row(self, key: PotKey) -> tuple[int, int]:
        return (await self.store.read(spend.spent, [key]))[key]

    @property
    def pot(self) -> Pot:
        return self.bank.pot(*self.budgets[0])


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with Store(None) as made:
        yield made


def of(tokens: int, window: Any = "total", account: str = "key:ann") -> tuple[str, Budget]:
    return account, Budget(window, tokens * RATE)


def counted(attempt: Attempt, tokens: int) -> Attempt:
    attempt.tokens, attempt.usage_source = Tokens(output=tokens), "provider"
    return attempt


async def test_a_lease_is_on_disk_before_it_is_spent_and_what_is_left_goes_back(store: Store) -> None:
    there = House(store, [of(1000)])
    meter, attempt, wallet = await there.begin()
    assert await there.row(there.pot.key) == (0, 1000 * RATE)
    assert there.pot.held == 250 * RATE  # a quarter of what is left
    meter.settle(counted(attempt, 70))
    await there.told(wallet)
    await there.bank.close()
    assert (await there.row(there.pot.key), there.pot.held) == ((70 * RATE, 0), 0)


async def test_settling_twice_changes_nothing(store: Store) -> None:
    there = House(store, [of(1000)])
    meter, attempt, wallet = await there.begin()
    for _ in range(3):
        meter.settle(counted(attempt, 70))
    assert (there.pot.granted, there.pot.held, there.pot.open) == (930 * RATE, 0, 0)
    assert wallet.spent == [Spent(there.pot.key, store.process, 70 * RATE)]


async def test_what_was_never_sent_costs_nothing(store: Store) -> None:
    there = House(store, [of(1000)])
    meter, attempt, wallet = await there.begin()
    meter.settle(attempt)
    assert (there.pot.granted, there.pot.held, sum(one.cost_e12 for one in wallet.spent)) == (1000 * RATE, 0, 0)


async def test_holds_grow_slice_by_slice_until_the_money_is_gone(store: Store) -> None:
    there = House(store, [of(1000)])
    meter, attempt, _ = await there.begin()
    growing, ended = Growing(), None
    while ended is None:
        growing.produced = meter.reach + 1
        try:
            await meter.grow(growing)  # type: ignore[arg-type]
        except Cancelled as error:
            ended = error
    assert (ended.status, ended.code, ended.type, ended.extra["by"]) == (
        429, "insufficient_quota", "insufficient_quota", "budget",
    )  # fmt: skip
    assert growing.produced // 4 == 1000
    assert there.pot.held <= 1000 * RATE
    meter.settle(counted(attempt, 980))
    assert there.pot.held == 0


async def test_a_block_that_leaves_no_room_for_a_whole_slice_is_paid_from_what_there_is(store: Store) -> None:
    there = House(store, [of(620)])
    meter, attempt, _ = await there.begin()
    await meter.grow(Growing(produced=2 * 600))  # type: ignore[arg-type]
    assert (there.pot.held, meter.reach) == (620 * RATE, 2 * 620)
    meter.settle(counted(attempt, 300))
    assert there.pot.free == 320 * RATE


@pytest.mark.parametrize("over", [{"done": True}, {"grace": 0.05}], ids=["at its end", "its end was said"])
async def test_an_answer_that_is_whole_is_not_refused_any_more(store: Store, over: Any) -> None:
    there = House(store, [of(100)])
    meter, attempt, _ = await there.begin()
    await meter.grow(Growing(produced=2 * 600, **over))  # type: ignore[arg-type]
    meter.settle(counted(attempt, 300))
    assert (there.pot.spent, there.pot.held, there.pot.free) == (300 * RATE, 0, -200 * RATE)


async def test_what_fits_with_the_least_slice_is_let_in(store: Store) -> None:
    there = House(store, [of(60)])
    meter, attempt, _ = await there.begin(max_tokens=16)
    other, later, _ = await there.begin(max_tokens=30)
    assert there.pot.held == 2 * 16 * RATE
    meter.settle(attempt)
    other.settle(later)


async def test_who_leaves_while_a_lease_is_bought_takes_no_money_along(store: Store) -> None:
    there, slow_disk = House(store, [of(1000)]), threading.Event()
    store.write(lambda _: slow_disk.wait(10))
    gone = asyncio.ensure_future(there.begin())
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    slow_disk.set()
    meter, attempt, _ = await there.begin()
    meter.settle(attempt)
    assert (there.pot.free, there.pot.held) == (1000 * RATE, 0)


async def test_the_providers_running_count_wins_where_it_is_larger(store: Store) -> None:
    there = House(store, [of(10_000)])
    meter, _, _ = await there.begin()
    await meter.grow(Growing(meter.reach + 1, Usage(completion=4000)))  # type: ignore[arg-type]
    assert there.pot.held >= 4000 * RATE


async def test_who_only_waits_for_others_holds_gets_them_when_they_are_let_go(store: Store) -> None:
    there = House(store, [of(60)])
    first, attempt, _ = await there.begin()
    second, other, _ = await there.begin(max_tokens=16)
    growing = Growing(100_000)
    there.pot.hold(there.pot.free)  # all the rest is held
    waiting = asyncio.ensure_future(there.begin(max_tokens=16))
    await asyncio.sleep(0)
    assert not waiting.done()
    first.settle(attempt)
    second.settle(other)
    meter, _, _ = await waiting
    assert meter.reach > 0
    assert growing.produced


async def test_what_is_spent_is_refused_at_once_with_the_end_of_the_window(store: Store) -> None:
    there = House(store, [of(100, "day")])
    meter, attempt, _ = await there.begin()
    meter.settle(counted(attempt, 100))
    with pytest.raises(GatewayError) as caught:
        await there.begin()
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (429, str(int(DAY / 2)))
    assert [pot.key.window for pot in there.warned] == ["day"]


async def test_a_window_that_rolls_under_a_stream_settles_into_the_old_one(store: Store) -> None:
    there = House(store, [of(100, "day")])
    meter, attempt, wallet = await there.begin()
    old = there.pot
    there.now += DAY
    fresh, later, other = await there.begin()
    assert there.pot is not old
    meter.settle(counted(attempt, 90))
    fresh.settle(counted(later, 20))
    await there.told(wallet)
    await there.told(other)
    await there.bank.tidy()
    assert await there.row(old.key) == (90 * RATE, 0)
    assert (await there.row(there.pot.key))[0] == 20 * RATE
    assert old.key not in there.bank.pots


async def test_every_budget_must_have_the_money(store: Store) -> None:
    there = House(store, [of(1000), of(10, "day", "group:team")])
    with pytest.raises(GatewayError) as caught:
        await there.begin()
    assert "group 'team'" in caught.value.message
    assert there.pot.held == 0


async def test_a_lowered_limit_gives_back_what_it_no_longer_covers(store: Store) -> None:
    there = House(store, [of(1000)])
    meter, attempt, _ = await there.begin(max_tokens=16)
    there.budgets = [of(500)]
    second, other, _ = await there.begin(max_tokens=16)
    assert sum(await there.row(there.pot.key)) == 500 * RATE
    meter.settle(attempt)
    second.settle(other)
    assert there.pot.held == 0


async def test_a_raised_limit_is_there_at_once(store: Store) -> None:
    there = House(store, [of(100)])
    meter, attempt, wallet = await there.begin()
    meter.settle(counted(attempt, 100))
    await there.told(wallet)
    there.budgets = [of(200)]
    there.now += 1
    assert (await there.begin())[0].reach > 0


async def test_two_processes_never_lease_more_than_there_is(store: Store) -> None:
    one, two = (House(store, [of(1000)], shares=2) for _ in range(2))
    meters = [await there.begin(max_tokens=16) for there in (one, two, one, two)]
    spent, leased = await one.row(one.pot.key)
    assert spent + leased <= 1000 * RATE
    for meter, attempt, _ in meters:
        meter.settle(attempt)
    await one.bank.tidy()
    await two.bank.tidy()
    assert await one.row(one.pot.key) == (0, 0)


async def test_a_soft_budget_lets_everything_pass_and_says_so_once(store: Store) -> None:
    there = House(store, [of(10)], Budgets(mode="soft"))
    for _ in range(3):
        meter, attempt, wallet = await there.begin()
        meter.settle(counted(attempt, 100))
        await there.told(wallet)
    assert len(there.warned) == 1
    assert (await there.row(there.pot.key))[0] == 300 * RATE


async def test_a_cancel_while_it_waits_leaves_nothing_held(store: Store) -> None:
    there = House(store, [of(60)])
    meter, attempt, _ = await there.begin(max_tokens=16)
    there.pot.hold(there.pot.free)
    held = there.pot.held
    waiting = asyncio.ensure_future(there.begin(max_tokens=16))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert there.pot.held == held
    meter.settle(attempt)


async def test_what_has_no_price_cannot_be_paid(store: Store) -> None:
    there = House(store, [of(1000)])
    with pytest.raises(BadRequest) as caught:
        await there.wallet().begin(Chat({"messages": []}, "m"), "q", Attempt(1, "q", "m", 0.0), streams=True)
    assert (caught.value.status, caught.value.code) == (403, "unpriced_model")


@pytest.mark.parametrize(
    ("face", "body", "clamped"),
    [
        ("chat", {"messages": [], "max_completion_tokens": 32_000}, {"max_completion_tokens": 1000}),
        ("messages", {"messages": [], "max_tokens": 32_000}, {"max_tokens": 1000}),
        ("responses", {"input": "x"}, {"max_output_tokens": 1000}),
        (
            "gemini",
            {"generationConfig": {"maxOutputTokens": 32_000, "seed": 1}},
            {"generationConfig": {"maxOutputTokens": 1000, "seed": 1}},
        ),
    ],
)
async def test_what_cannot_be_watched_is_clamped_in_its_own_dialect(
    store: Store, face: Any, body: Any, clamped: Any
) -> None:
    there, attempt = House(store, [of(1000)]), Attempt(1, "p", "m", time.monotonic())
    wallet = there.wallet()
    meter, asked = await wallet.begin(Chat(body, "m", face), "p", attempt, streams=False)
    assert {name: asked.body[name] for name in clamped} == clamped
    assert wallet.headers["X-LLMProxy-Clamped"].endswith("=1000")
    assert there.pot.held == 1000 * RATE
    meter.settle(attempt)
    assert there.pot.held == 0


async def test_a_client_without_a_limit_gets_none_while_there_is_money_for_the_longest_answer(store: Store) -> None:
    """A provider refuses a limit above what its model can write."""
    there, attempt = House(store, [of(10**9)]), Attempt(1, "p", "m", time.monotonic())
    wallet = there.wallet()
    meter, asked = await wallet.begin(Chat({"input": "x"}, "m", "responses"), "p", attempt, streams=False)
    assert (asked.body, wallet.headers) == ({"input": "x"}, {})
    assert there.pot.held == LONGEST_ANSWER * RATE
    meter.settle(attempt)
