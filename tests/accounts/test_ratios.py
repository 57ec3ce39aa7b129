"""Bytes per token: learned from answers, kept over a restart, and what is thought of a model that nobody has asked yet."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from llmproxy.accounts.ratios import CAUTIOUS, LIKELY, UNKNOWN, Ratios
from llmproxy.core.errors import Cancelled
from llmproxy.core.metering import Meter
from llmproxy.core.usage import Tokens
from llmproxy.store import Store, token_ratios
from tests.accounts.test_spending import RATE, Growing, House, of


def taught(*bytes_per_token: float, model: str = "p/m") -> Ratios:
    ratios = Ratios()
    for one in bytes_per_token:
        ratios.learn("out", model, round(one * 1000), 1000)
    return ratios


def test_the_first_answers_of_a_model_make_its_estimate_less_cautious_one_by_one() -> None:
    found = [taught(*[4.0] * answers).of("out", "p/m").cautious for answers in range(6)]
    assert found == pytest.approx([2.0, 2.72, 3.28, 3.68, 3.92, 4.0], rel=0.02)


def test_the_dearest_of_few_answers_counts_as_it_is() -> None:
    assert taught(4.0, 1.2).of("out", "p/m").cautious == pytest.approx(1.2, rel=0.02)


def test_of_many_answers_it_is_the_1st_percentile_and_never_more_than_it() -> None:
    found = taught(*[3.0] * 3, *[4.5] * 97).of("out", "p/m")
    assert found == pytest.approx((3.0, 3.0), rel=0.02)
    assert found.cautious <= 3.0


def test_a_model_that_nobody_has_asked_is_thought_to_be_like_the_others_of_its_provider() -> None:
    ratios = taught(*[3.3] * 20, model="p/other")
    assert ratios.of("out", "p/m") == pytest.approx((3.3, 3.3), rel=0.02)
    assert ratios.of("out", "q/m") == ratios.of("in", "p/m") == UNKNOWN


def test_answers_of_long_ago_count_less_than_those_of_now() -> None:
    ratios = taught(*[2.0] * 1000, *[4.0] * 30_000)
    assert ratios.of("out", "p/m").cautious == pytest.approx(4.0, rel=0.02)


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return tmp_path / "data" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


async def answered(there: House, bytes_per_token: float, answers: int) -> None:
    for _ in range(answers):
        meter, attempt, _ = await there.begin()
        attempt.state, attempt.produced = "open", round(bytes_per_token * 1000)
        attempt.tokens, attempt.usage_source = Tokens(output=1000), "provider"
        meter.settle(attempt)


async def test_a_model_that_is_known_is_known_after_a_restart(where: Any) -> None:
    async with Store(where) as store:
        there = House(store, [of(10**9)])
        await answered(there, 3.5, 5)
        await there.bank.close()
    async with Store(where) as store:
        there = House(store, [of(10**9)])
        meter, attempt, _ = await there.begin()
        assert there.bank.ratios.of("out", "p/m").cautious == pytest.approx(3.5, rel=0.02)
        assert meter.ceiling == pytest.approx(256 * 3.5, rel=0.02)
        meter.settle(attempt)


async def test_what_two_processes_learn_at_once_is_added_up(where: Any) -> None:
    now = time.time()
    async with Store(where) as one, Store(where) as other:
        for store in (one, other, one):
            await store.write(token_ratios.add, {("out", "p/two", 60): 2, ("in", "p/two", 70): 1}, now)
        told = await one.read(token_ratios.known)
        found = {(row.kind, row.bucket): row.answers for row in told if row.model == "p/two"}
        assert found == {("out", 60): 6, ("in", 70): 3}
        await one.write(token_ratios.forget, now + 60)
        assert await other.read(token_ratios.known) == []


async def test_what_is_learned_is_written_once() -> None:
    async with Store(None) as store:
        there = House(store, [of(10**9)])
        await answered(there, 3.5, 3)
        await there.bank.note_ratios()
        await there.bank.note_ratios()
        assert [row.answers for row in await store.read(token_ratios.known)] == [3]


async def until_ended(meter: Meter, growing: Growing) -> None:
    while True:
        growing.produced += 16
        if growing.produced > meter.ceiling:
            await meter.grow(growing)  # type: ignore[arg-type]


async def test_an_answer_of_an_unknown_model_is_not_ended_before_the_budget_is_truly_spent() -> None:
    """One stream of English text, and nobody else who could teach how long its tokens are."""
    async with Store(None) as store:
        there, growing = House(store, [of(1000)]), Growing()
        meter, attempt, _ = await there.begin()
        with pytest.raises(Cancelled):
            await until_ended(meter, growing)
        assert growing.produced / LIKELY == pytest.approx(1000, abs=16)
        meter.settle(attempt)


async def test_an_unknown_model_is_held_cautiously_while_there_is_money() -> None:
    async with Store(None) as store:
        there = House(store, [of(100_000)])
        meter, attempt, _ = await there.begin()
        assert there.pot.held == 256 * RATE
        growing = Growing(10_000)
        await meter.grow(growing)  # type: ignore[arg-type]
        assert there.pot.held >= 10_000 / CAUTIOUS * RATE
        meter.settle(attempt)


@pytest.mark.parametrize("length", [1, 2, 3, 4], ids=lambda length: f"{length} bytes a token")
async def test_an_unknown_model_whose_tokens_come_one_by_one_does_not_exceed_the_budget(length: int) -> None:
    """Short tokens, as of code or Chinese: a block of the answer counts as one token at least."""
    async with Store(None) as store:
        there, growing = House(store, [of(1000)]), Growing()
        meter, attempt, _ = await there.begin()
        tokens = 0
        with pytest.raises(Cancelled):  # noqa: PT012
            while True:
                growing.produced, tokens = growing.produced + length, tokens + 1
                if growing.produced > meter.ceiling:
                    await meter.grow(growing)  # type: ignore[arg-type]
        assert 980 <= tokens <= 1020
        attempt.produced = growing.produced
        assert growing.produced / meter.bytes_per_token[1] == pytest.approx(tokens)
        meter.settle(attempt)


async def test_an_answer_that_nobody_counted_is_estimated_by_what_is_usual_for_its_model() -> None:
    async with Store(None) as store:
        there = House(store, [of(10**9)])
        meter, attempt, _ = await there.begin()
        assert meter.bytes_per_token == (LIKELY, LIKELY)
        meter.settle(attempt)
        await answered(there, 1.5, 1)
        await answered(there, 2.5, 9)
        meter, attempt, _ = await there.begin()
        assert meter.bytes_per_token == pytest.approx((LIKELY, 2.5), rel=0.02)
        meter.settle(attempt)


async def test_the_first_settled_answer_teaches_the_streams_that_are_open() -> None:
    async with Store(None) as store:
        there = House(store, [of(100_000)])
        meter, attempt, _ = await there.begin()
        await answered(there, 6.0, 5)
        growing = Growing(12_000)
        await meter.grow(growing)  # type: ignore[arg-type]
        assert there.pot.held == pytest.approx((2000 + 256) * RATE, rel=0.02)
        meter.settle(attempt)
