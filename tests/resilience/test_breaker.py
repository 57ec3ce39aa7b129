"""The breaker: closed while a provider answers, open for a while when it does not, and half open for one that probes."""

from __future__ import annotations

import asyncio

import pytest

from llmproxy.config import Breaker
from llmproxy.core.errors import BreakerOpen, Dropped, Saturated, Unreachable, UpstreamError
from llmproxy.resilience import BreakerOpener, Breakers, RetryBudget, RetryOpener
from tests.core.kit import chat
from tests.core.openers import Act, Scripted, settled, taken

SETTINGS = Breaker(failures=3, success=0.5, samples=10, window=30.0, cooldown=5.0, max_cooldown=20.0)
DOWN = Unreachable("down")
BUSY = UpstreamError("busy", status=429, blames=False)
OK: Act = (b"frame",)
BREAKS: Act = (b"frame", Dropped("broke"))


class Provider:
    """One provider behind a breaker, and the clock they live by."""

    def __init__(self, settings: Breaker = SETTINGS) -> None:
        self.inner = Scripted()
        self.now = 100.0
        self.breakers = Breakers(settings, name="p", clock=lambda: self.now)
        self.guarded = BreakerOpener(self.inner, self.breakers)

    def does(self, act: Act) -> None:
        self.inner.acts = [act]

    async def ask(self, *acts: Act, model: str = "m") -> list[str]:
        """What becomes of as many requests, one after the other: "ok", or the failure's name."""
        outcomes = []
        for act in acts:
            self.does(act)
            try:
                await taken(self.guarded, chat().asking(model))
                outcomes.append("ok")
            except UpstreamError as error:
                outcomes.append(type(error).__name__)
        return outcomes

    def begin(self, act: asyncio.Event) -> asyncio.Task[list[bytes]]:
        self.does(act)
        return asyncio.ensure_future(taken(self.guarded, chat()))

    @property
    def state(self) -> str:
        return self.breakers.state


async def opened(settings: Breaker = SETTINGS) -> Provider:
    provider = Provider(settings)
    await provider.ask(DOWN, DOWN, DOWN)
    assert provider.state == "open"
    return provider


async def test_failures_in_a_row_open_it() -> None:
    provider = Provider()
    assert await provider.ask(DOWN, DOWN) == ["Unreachable"] * 2
    assert provider.state == "closed"
    await provider.ask(DOWN)
    assert provider.state == "open"


async def test_while_it_is_open_the_provider_is_left_alone() -> None:
    provider = await opened()
    asked = len(provider.inner.opened)
    assert await provider.ask(OK, OK) == ["BreakerOpen"] * 2
    assert len(provider.inner.opened) == asked


async def test_the_refusal_says_when_and_leads_elsewhere() -> None:
    provider = await opened()
    provider.now += 1.5
    with pytest.raises(BreakerOpen) as caught:
        await taken(provider.guarded, chat())
    error = caught.value
    assert (error.status, error.try_elsewhere, error.retry_here, error.blames) == (503, True, False, False)
    assert 3 <= int(error.headers["Retry-After"]) <= 5


async def test_the_refusal_names_provider_model_and_what_failed_last() -> None:
    provider = Provider()
    await provider.ask(*[UpstreamError("the prompt was: secret", status=500)] * 3, model="big")
    provider.does(OK)
    with pytest.raises(BreakerOpen, match=r"^p/big failed repeatedly \(last: an error, status 500\)") as caught:
        await taken(provider.guarded, chat().asking("big"))
    assert "secret" not in caught.value.message


async def test_an_answer_in_between_begins_the_row_anew() -> None:
    provider = Provider()
    await provider.ask(DOWN, DOWN, OK, DOWN, DOWN)
    assert provider.state == "closed"


async def test_what_is_not_the_providers_fault_does_not_count() -> None:
    provider = Provider()
    await provider.ask(*[BUSY] * 10, *[Saturated("full")] * 10)
    assert provider.state == "closed"


async def test_answers_that_break_in_the_middle_count() -> None:
    provider = Provider()
    await provider.ask(BREAKS, BREAKS, BREAKS)
    assert provider.state == "open"


async def test_one_answer_that_breaks_now_and_then_does_not() -> None:
    provider = Provider()
    await provider.ask(*[BREAKS, OK, OK] * 5)
    assert provider.state == "closed"


async def test_too_many_failures_among_enough_calls_open_it() -> None:
    provider = Provider()
    await provider.ask(*[DOWN, DOWN, OK] * 3)
    assert provider.state == "closed"
    await provider.ask(DOWN)
    assert provider.state == "open"


async def test_failures_of_long_ago_are_forgotten() -> None:
    provider = Provider()
    await provider.ask(*[DOWN, DOWN, OK] * 3)
    provider.now += SETTINGS.window + 1
    await provider.ask(DOWN)
    assert provider.state == "closed"


# A model and its provider

OVERLOADED = UpstreamError("overloaded", status=503)


async def test_a_model_that_is_down_leaves_the_others_of_its_provider_alone() -> None:
    provider = Provider()
    await provider.ask(*[OVERLOADED] * 3, model="dead")
    assert await provider.ask(OK, model="dead") == ["BreakerOpen"]
    assert await provider.ask(OK, OK, model="other") == ["ok", "ok"]
    assert (provider.state, provider.breakers.left_alone) == ("closed", ["dead"])


async def test_two_dead_models_are_not_a_dead_provider() -> None:
    provider = Provider()
    for model in ("one", "two"):
        await provider.ask(*[OVERLOADED] * 5, model=model)
    assert await provider.ask(OK, model="other") == ["ok"]


async def test_a_provider_of_which_model_after_model_fails_is_down() -> None:
    provider = Provider()
    for model in ("one", "two", "three"):
        await provider.ask(OVERLOADED, model=model)
    assert await provider.ask(OK, model="other") == ["BreakerOpen"]


@pytest.mark.parametrize("failure", [DOWN, UpstreamError("no such key", status=401, provider_wide=True)])
async def test_what_concerns_every_model_counts_for_the_provider(failure: UpstreamError) -> None:
    provider = Provider()
    await provider.ask(failure, failure, failure, model="one")
    assert await provider.ask(OK, model="other") == ["BreakerOpen"]


async def test_a_provider_that_can_be_reached_again_is_asked_for_every_model() -> None:
    provider = await opened()
    provider.now += SETTINGS.cooldown
    assert await provider.ask(OVERLOADED, model="dead") == ["UpstreamError"]
    assert await provider.ask(OK, model="other") == ["ok"]


async def test_the_names_that_clients_make_up_take_no_memory_for_good() -> None:
    provider = Provider(Breaker(failures=10_000, samples=10_000))
    for number in range(1000):
        await provider.ask(OVERLOADED, model=f"m{number}")
    assert len(provider.breakers._models) <= 256
    assert len(provider.breakers._failing) <= 256


# What counts


async def test_a_request_counts_once_however_often_it_was_tried() -> None:
    provider = Provider()

    async def at_once(seconds: float) -> None:
        return None

    retried = RetryOpener(provider.inner, retries=2, budget=RetryBudget(1.0), sleep=at_once)
    provider.guarded = BreakerOpener(retried, provider.breakers)
    tried = UpstreamError("overloaded", status=503, retry_here=True)
    await provider.ask(tried, tried)
    assert (len(provider.inner.opened), provider.state) == (6, "closed")
    await provider.ask(tried)
    assert provider.state == "open"


@pytest.mark.parametrize("bad", [OVERLOADED, DOWN, BREAKS, UpstreamError("poison", status=500)])
async def test_two_bad_requests_per_good_one_take_the_provider_from_nobody(bad: Act) -> None:
    provider = Provider(Breaker())
    for _ in range(100):
        assert (await provider.ask(bad, bad, OK))[2] == "ok"
        provider.now += 0.3


async def test_a_model_that_answered_a_moment_ago_is_not_down() -> None:
    provider = Provider()
    await provider.ask(OK, OVERLOADED, OVERLOADED, OVERLOADED)
    assert provider.state == "closed"
    provider.now += SETTINGS.cooldown + 0.1
    await provider.ask(OVERLOADED)
    assert provider.state == "open"


# Half open


async def test_after_the_cooldown_one_request_probes() -> None:
    provider = await opened()
    provider.now += SETTINGS.cooldown
    assert provider.state == "half_open"
    hangs = asyncio.Event()
    probe = provider.begin(hangs)
    await settled()
    assert await provider.ask(OK) == ["BreakerOpen"]
    hangs.set()
    await probe
    assert provider.state == "closed"


async def test_a_probe_that_succeeds_closes_it() -> None:
    provider = await opened()
    provider.now += SETTINGS.cooldown
    assert await provider.ask(OK, OK) == ["ok", "ok"]
    assert await provider.ask(DOWN) == ["Unreachable"]
    assert provider.state == "closed"


async def test_an_answer_that_has_begun_closes_it_before_it_is_over() -> None:
    provider = await opened()
    provider.now += SETTINGS.cooldown
    provider.does((b"frame", asyncio.Event()))
    async with provider.guarded.open(chat()):
        assert provider.state == "closed"


async def test_a_probe_that_breaks_in_the_middle_opens_it_again() -> None:
    provider = Provider()
    await provider.ask(BREAKS, BREAKS, BREAKS)
    provider.now += SETTINGS.cooldown
    await provider.ask(BREAKS)
    assert provider.state == "open"


async def test_each_probe_that_fails_doubles_the_cooldown_up_to_its_limit() -> None:
    provider = await opened()
    for cooldown in (5.0, 10.0, 20.0, 20.0):
        provider.now += cooldown - 0.1
        assert provider.state == "open"
        provider.now += 0.1
        assert await provider.ask(DOWN) == ["Unreachable"]


async def test_requests_that_were_under_way_when_it_opened_do_not_lengthen_it() -> None:
    provider = Provider()
    fails = [asyncio.Event() for _ in range(20)]

    provider.inner.acts = [(b"frame", one, DOWN) for one in fails]
    tasks = [asyncio.ensure_future(taken(provider.guarded, chat())) for _ in fails]
    await settled()
    for one in fails:
        one.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert provider.state == "open"
    provider.now += SETTINGS.cooldown
    assert provider.state == "half_open"


async def test_a_probe_that_fails_blamelessly_is_followed_by_another() -> None:
    provider = await opened()
    provider.now += SETTINGS.cooldown
    assert await provider.ask(BUSY, OK) == ["UpstreamError", "ok"]
    assert provider.state == "closed"


# Cancelling


async def test_a_cancel_does_not_count() -> None:
    provider = Provider()
    for _ in range(10):
        task = provider.begin(asyncio.Event())
        await settled()
        task.cancel()
        await asyncio.wait({task})
    assert provider.state == "closed"


async def test_a_probe_that_is_cancelled_makes_room_for_another() -> None:
    provider = await opened()
    provider.now += SETTINGS.cooldown
    task = provider.begin(asyncio.Event())
    await settled()
    task.cancel()
    await asyncio.wait({task})
    assert provider.state == "half_open"
    assert await provider.ask(OK) == ["ok"]
    assert provider.state == "closed"
