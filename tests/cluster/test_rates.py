"""Limits that are counted together: the same numbers as in memory, in a real Redis, and what happens when it is gone."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from llmproxy.accounts.accounts import Accounts, Charge
from llmproxy.accounts.bank import Bank
from llmproxy.accounts.keys import Keyring
from llmproxy.accounts.limits import Live
from llmproxy.accounts.prices import Prices
from llmproxy.accounts.pricing import Pricing
from llmproxy.accounts.together import Step, Taken, ending, learn, taking
from llmproxy.cluster.rates import LEASE, Rates
from llmproxy.config import Config, Group, Key
from llmproxy.core.chat import Chat
from llmproxy.core.errors import GatewayError
from tests.cluster.redis_server import RedisServer, any_redis, own_redis
from tests.thorough import examples
from tests.waiting import soon

PATIENT = 20.0  # seconds for an answer where a test is not about that
START = 1_700_000_000.25


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with any_redis() as found:
        yield found


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with own_redis() as made:
        yield made


@asynccontextmanager
async def counting(url: str, *, prefix: str = "", wait: float = PATIENT) -> AsyncIterator[Rates]:
    """Together, under a name of its own."""
    rates = Rates(url, prefix=prefix or f"llmproxy-test:{{{secrets.token_hex(8)}}}:", wait=wait)
    task = asyncio.ensure_future(rates.run())
    try:
        async with asyncio.timeout(PATIENT):
            await rates.found.wait()
        yield rates
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await forget(url, rates)


async def forget(url: str, rates: Rates) -> None:
    from redis.asyncio import Redis

    with suppress(Exception):
        async with asyncio.timeout(5), Redis.from_url(url) as client:
            found = [key async for key in client.scan_iter(f"{rates._prefix}*")]
            if found:
                await client.delete(*found)


# The same numbers


KEY, GROUP = Key("k", "", rpm=7, tpm=900), Group("g", rpm=11, tpm=1300)
SLOWLY = examples(40, suppress_health_check=list(HealthCheck))
MOVES = st.lists(
    st.tuples(
        st.floats(0, 40, allow_nan=False),
        st.one_of(
            st.integers(0, 1500).map(lambda n: ("take", n)), st.integers(-900, 900).map(lambda n: ("correct", n))
        ),
    ),
    min_size=1,
    max_size=25,
)


def in_memory(lives: list[Live], now: float, tokens: int) -> float:
    """Takes; or says how long to wait."""
    try:
        for one in lives:
            one.check(now, tokens)
    except GatewayError as refused:
        return float(refused.headers["retry-after-ms"])
    for one in lives:
        one.take(now, tokens)
    return 0


@pytest.fixture(scope="module")
def play(url: str) -> Iterator[Callable[[Callable[[Rates], Coroutine[Any, Any, None]]], None]]:
    """Plays each script with names of its own, over one connection."""
    with asyncio.Runner() as runner:
        opened = counting(url)
        rates = runner.run(opened.__aenter__())
        prefix = rates._prefix

        def played(script: Callable[[Rates], Coroutine[Any, Any, None]]) -> None:
            rates._prefix = f"{prefix}{secrets.token_hex(4)}:"
            rates._open.clear()  # the leases of an earlier script must not be renewed under these names
            runner.run(script(rates))
            runner.run(rates.take([Step("rate", "last", 1, 1)]))  # all before it has been counted

        yield played
        rates._prefix = prefix
        runner.run(opened.__aexit__(None, None, None))


@given(moves=MOVES)
@SLOWLY
@pytest.mark.timeout(300)
def test_redis_and_memory_count_the_same(
    play: Callable[[Any], None], moves: list[tuple[float, tuple[str, int]]]
) -> None:
    async def script(rates: Rates) -> None:
        memory, mirror = ([Live(KEY, "key"), Live(GROUP, "group")] for _ in range(2))
        now = START
        rates.clock = lambda: now
        for pause, (move, tokens) in moves:
            now += pause
            if move == "correct":
                for one in memory:
                    one.correct(now, tokens)
                rates.add([step for one in memory for step in ending(one, tokens, "m")])
                continue
            wait = in_memory(memory, now, tokens)
            steps = [step for one in mirror for step in taking(one, tokens, "m")]
            taken = await rates.take(steps)
            assert taken is not None
            assert (taken.refused is None) == (wait == 0)
            if taken.refused is not None:
                assert -(-taken.wait * 1000 // 1) == wait, "Retry-After is the same"
            for at, one in enumerate(mirror):
                learn(one, steps[2 * at : 2 * at + 2], taken.states[2 * at : 2 * at + 2], now)
            for one, other in zip(memory, mirror, strict=True):
                assert max(one.requests - now, 0) == pytest.approx(max(other.requests - now, 0), abs=1e-6)
                assert max(one.tokens - now, 0) == pytest.approx(max(other.tokens - now, 0), abs=1e-6)

    play(script)


@given(moves=st.lists(st.integers(0, 9), min_size=1, max_size=30))
@SLOWLY
@pytest.mark.timeout(300)
def test_those_at_once_are_as_many_as_may_be(play: Callable[[Any], None], moves: list[int]) -> None:
    """Each move begins a request, or ends it if it runs."""

    async def script(rates: Rates) -> None:
        rates.clock = lambda: START
        running: set[int] = set()
        for move in moves:
            member = str(move)
            if move in running:
                rates.add([Step("release", "p", member=member)])
                running.discard(move)
                continue
            taken = await rates.take([Step("parallel", "p", 3, 1, member)])
            assert taken is not None
            assert (taken.refused is None) == (len(running) < 3)
            if taken.refused is None:
                running.add(move)

    play(script)


# Several replicas


@pytest.mark.parametrize("replicas", [1, 3, 10])
@pytest.mark.parametrize("with_redis", [True, False])
async def test_the_admitted_rate_is_the_limit_however_many_replicas_there_are(
    url: str, replicas: int, with_redis: bool
) -> None:
    """Ten minutes, asked all the time: what was admitted is within 5 % of the limit."""
    limit, minutes, now = 60, 10, START
    prefix = f"llmproxy-test:{{{secrets.token_hex(8)}}}:"
    lives = [Live(Key("k", "", rpm=limit), "key", 1 if with_redis else replicas) for _ in range(replicas)]
    admitted = -limit  # the bucket that was full at the beginning
    async with counting(url, prefix=prefix) as rates:
        rates.clock = lambda: now
        for round in range(minutes * 120):
            now = START + round / 2
            for _ in range(2):
                live = lives[secrets.randbelow(replicas)]
                if with_redis:
                    taken = await rates.take(taking(live, 0, ""))
                    assert taken is not None
                    admitted += taken.refused is None
                else:
                    admitted += in_memory([live], now, 0) == 0
    assert admitted == pytest.approx(limit * minutes, rel=0.05)


async def test_many_questions_of_a_moment_are_one_round_trip(url: str) -> None:
    async with counting(url) as rates:
        trips = 0
        sent = rates._sent

        async def counted(client: Any, sha: str, batch: Any) -> Any:
            nonlocal trips
            trips += 1
            return await sent(client, sha, batch)

        rates._sent = counted  # type: ignore[method-assign]  # counts, and sends
        told = await asyncio.gather(*(rates.take([Step("rate", "r", 1000, 1)]) for _ in range(100)))
        assert all(one is not None and one.refused is None for one in told)
        assert trips <= 2


async def test_who_leaves_while_it_is_counted_does_not_stay_counted(url: str) -> None:
    async with counting(url) as rates:
        task = asyncio.ensure_future(rates.take([Step("parallel", "p", 1, 1, "left")]))
        await asyncio.sleep(0)
        task.cancel()

        async def free() -> bool:
            taken = await rates.take([Step("parallel", "p", 1, 1, "next")])
            return taken is not None and taken.refused is None

        await soon(free)


async def test_the_requests_of_a_process_that_died_are_counted_until_its_lease_ends(url: str) -> None:
    prefix = f"llmproxy-test:{{{secrets.token_hex(8)}}}:"
    now = START
    async with counting(url, prefix=prefix) as rates:
        rates.clock = lambda: now
        await rates.take([Step("parallel", "p", 1, 1, "of-the-dead")])
        refused = await rates.take([Step("parallel", "p", 1, 1, "next")])
        now += LEASE + 1
        taken = await rates.take([Step("parallel", "p", 1, 1, "next")])
    assert refused is not None
    assert refused.refused == 0
    assert taken is not None
    assert taken.refused is None


# The server is gone


def accounts(rates: Rates, *, others: int = 0, **limits: int) -> tuple[Accounts, Key]:
    key = Key("limited", "secret", **limits)  # type: ignore[arg-type]  # members of it
    pricing = Pricing(Prices({}), {})
    made = Accounts(Keyring((key,)), pricing, Bank(lambda: None))  # type: ignore[arg-type, return-value]  # no budgets
    made.configure(Config(), pricing)
    made.keys.configure((key,))
    made.together = rates
    made.share_with(others)
    return made, key


async def admitted(made: Accounts, key: Key, times: int) -> list[Charge]:
    found = []
    for _ in range(times):
        with suppress(GatewayError):
            charge = await made.admit_together(key, Chat({"model": "m", "messages": []}, "m"))
            assert charge is not None
            found.append(charge)
    return found


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_while_it_is_gone_each_takes_its_share_and_then_all_count_together_again(
    server: RedisServer, how: str
) -> None:
    async with counting(server.url, wait=0.05) as rates:
        made, key = accounts(rates, others=2, rpm=30)
        server.hang() if how == "stopped" else server.kill()

        async def away() -> bool:
            await rates.take([Step("rate", "r", 1, 1)])
            return not rates.is_there

        await soon(away)
        assert len(await admitted(made, key, 40)) == 10, "of three processes"
        server.go_on() if how == "stopped" else server.again()

        async def back() -> bool:
            return rates.is_there

        await soon(back)
        assert len(await admitted(made, key, 40)) > 10


async def test_what_is_asked_while_it_hangs_is_answered_without_it(server: RedisServer) -> None:
    async with counting(server.url, wait=0.05) as rates:
        server.hang()
        told = await asyncio.gather(*(rates.take([Step("rate", "r", 10, 1)]) for _ in range(50)))
        assert told == [None] * 50
        assert not rates._waiting


async def test_what_runs_while_it_loses_all_is_counted_again(server: RedisServer) -> None:
    async with counting(server.url) as rates:
        made, key = accounts(rates, max_parallel=2)
        first = await admitted(made, key, 3)
        assert len(first) == 2
        server.kill()

        async def away() -> bool:
            return not rates.is_there

        rates.add([Step("rate", "r", 10, 1)])
        await soon(away)
        server.again()

        async def back() -> bool:
            return rates.is_there

        await soon(back)
        assert await admitted(made, key, 2) == []
        first[0].end(0.0, None)
        assert len(await admitted(made, key, 2)) == 1


async def test_a_server_that_forgot_the_script_is_told_it_again(url: str) -> None:
    from redis.asyncio import Redis

    async with counting(url) as rates, Redis.from_url(url) as client:
        await client.script_flush()

        async def counts() -> Taken | None:
            return await rates.take([Step("rate", "r", 10, 1)])

        assert (await soon(counts)).refused is None


async def test_a_key_of_another_type_keeps_nobody_else_from_being_counted(url: str) -> None:
    from redis.asyncio import Redis

    async with counting(url) as rates, Redis.from_url(url) as client:
        await client.lpush(f"{rates._prefix}spoilt", "a list")
        told = await asyncio.gather(
            rates.take([Step("rate", "spoilt", 10, 1)]), rates.take([Step("rate", "sound", 10, 1)])
        )
        assert told[0] is None
        assert told[1] is not None
        assert rates.is_there


async def test_one_that_is_not_there_at_the_start_is_taken_up_when_it_comes(server: RedisServer) -> None:
    server.kill()
    rates = Rates(server.url)
    task = asyncio.ensure_future(rates.run())
    try:
        assert await rates.take([Step("rate", "r", 10, 1)]) is None
        server.again()
        async with asyncio.timeout(PATIENT):
            await rates.found.wait()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_refusal_is_told_as_it_is_told_in_memory(url: str) -> None:
    async with counting(url) as rates:
        made, key = accounts(rates, rpm=1)
        chat = Chat({"model": "m", "messages": []}, "m")
        await made.admit_together(key, chat)
        with pytest.raises(GatewayError) as met:
            await made.admit_together(key, chat)
        made.together = None
        lone, key = accounts(rates, rpm=1)
        lone.together = None
        lone.admit(key, chat)
        with pytest.raises(GatewayError) as known:
            lone.admit(key, chat)
    assert (met.value.status, met.value.code, met.value.headers.keys()) == (
        known.value.status,
        known.value.code,
        known.value.headers.keys(),
    )
    assert met.value.headers["x-ratelimit-limit-requests"] == "1"


async def test_a_count_without_a_server_is_never_waited_for() -> None:
    rates = Rates("redis://127.0.0.1:1/0")
    assert await rates.take([Step("rate", "r", 1, 1)]) is None
    rates.add([Step("rate", "r", 1, 1)])
    assert not rates._waiting
