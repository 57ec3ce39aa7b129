"""What limits, budgets and numbers may cost a request and an event: calls, against bounds that were measured."""

from __future__ import annotations

import asyncio
import gc
import time

from llmproxy.accounts.accounts import Accounts
from llmproxy.accounts.bank import Bank
from llmproxy.accounts.keys import Keyring
from llmproxy.accounts.prices import Prices
from llmproxy.accounts.pricing import Place, Pricing
from llmproxy.config import Budget, Config, Key
from llmproxy.core.chat import Chat
from llmproxy.core.trace import Attempt, Trace
from llmproxy.core.usage import Tokens
from llmproxy.observe.metrics import Metrics
from llmproxy.requests.record import record
from llmproxy.requests.running import Running
from llmproxy.store import Store

from .counting import calls, calls_of_loop

FREE, LIMITED = Key("free", "a"), Key("limited", "b", rpm=10**6, tpm=10**9, max_parallel=10**4)
BUDGETED = Key("budgeted", "c", rpm=10**6, budget=(Budget("month", 10**15), Budget("total", 10**16)))
PRICES = Prices({"p/*": {"input": 1, "output": 2}})


def accounts(store: Store | None = None) -> Accounts:
    pricing = Pricing(PRICES, {"p": Place("http://p")})
    made = Accounts(Keyring((FREE, LIMITED, BUDGETED)), pricing, Bank(lambda: store))  # type: ignore[arg-type, return-value]
    made.configure(Config(), pricing)
    made.keys.configure((FREE, LIMITED, BUDGETED))
    return made


def question() -> Chat:
    return Chat({"model": "m", "messages": [{"role": "user", "content": "Hello there"}], "stream": True}, "m")


def finished() -> Running:
    trace = Trace("id")
    one = trace.dial("p", "m")
    one.sent, one.tokens, one.usage_source, one.first_frame = True, Tokens(10, output=5), "provider", one.started + 1
    one.end("answered")
    running = Running("id", "k", "m", True, trace, one.started, time.time())
    running.complete()
    running.first_frame, running.ended = one.first_frame, one.started + 2
    running.forget()
    return running


def test_a_key_without_limits_takes_next_to_nothing() -> None:
    made, chat = accounts(), question()
    assert calls(lambda: made.admit(FREE, chat)).total() <= 4


def test_limits_take_a_bounded_number_of_calls() -> None:
    made, chat = accounts(), question()
    made.admit(LIMITED, question())
    assert calls(lambda: made.admit(LIMITED, chat)).total() <= 46  # 42 measured


def test_the_numbers_of_a_request_take_a_bounded_number_of_calls() -> None:
    metrics, pricing, one = Metrics(), Pricing(PRICES, {"p": Place("http://p")}), finished()
    metrics.add(record(one, pricing))
    assert calls(lambda: metrics.add(record(one, pricing))).total() <= 48  # 43 measured


async def test_a_request_with_a_budget_leaves_nothing_to_the_garbage_collector() -> None:
    async with Store(None) as store:
        made, chats = accounts(store), [question() for _ in range(10)]
        for chat in chats:
            charge = made.admit(BUDGETED, chat)
            assert charge is not None
            chat.trace.purse = charge.wallet
        gc.collect()
        gc.disable()
        try:
            del chats, chat, charge
            assert gc.collect() == 0
        finally:
            gc.enable()


async def test_two_budgets_take_a_bounded_number_of_calls() -> None:
    async with Store(None) as store:
        made = accounts(store)

        async def paid() -> None:
            chat = question()
            charge = made.admit(BUDGETED, chat)
            assert charge is not None
            assert charge.wallet is not None
            attempt = Attempt(1, "p", "m", 0.0)
            meter, _ = await charge.wallet.begin(chat, "p", attempt, streams=True)
            attempt.tokens, attempt.usage_source = Tokens(10, output=5), "provider"
            meter.settle(attempt)
            charge.end(1.0, 15)

        await paid()
        assert (await calls_of_loop(paid())).total() <= 140  # 126 measured


async def test_a_stream_asks_for_money_once_a_slice_and_never_for_an_event() -> None:
    class Growing:
        done = False
        produced = 0
        usage = None

    grown, growing, tokens = 0, Growing(), 4000
    async with Store(None) as store:
        made, chat = accounts(store), question()
        for _ in range(5):
            made.bank.ratios.learn("out", "p/m", 4000, 1000)
        charge = made.admit(BUDGETED, chat)
        assert charge is not None
        assert charge.wallet is not None
        attempt = Attempt(1, "p", "m", time.monotonic())
        meter, _ = await charge.wallet.begin(chat, "p", attempt, streams=True)
        for growing.produced in range(0, tokens * 4, 4):
            if growing.produced > meter.ceiling:
                await meter.grow(growing)  # type: ignore[arg-type]
                grown += 1
        meter.settle(attempt)
        await asyncio.sleep(0)
    assert grown <= 1.02 * tokens / 256 + 1
