"""Retries and fallbacks: which failures, whose wait, how often, and never once an answer has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from llmproxy.core.chat import Chat
from llmproxy.core.errors import BadRequest, Dropped, Malformed, Saturated, Truncated, Unreachable, UpstreamError
from llmproxy.resilience import FailoverOpener, RetryBudget, RetryOpener
from llmproxy.testing.jumping_clock import run
from tests.core.kit import chat
from tests.core.openers import Act, Scripted, settled, taken

OK = (b"frame",)


def limited(wait: float | None = None, **members: Any) -> UpstreamError:
    return UpstreamError("slow down", status=429, code="rate_limit", retry_here=True, wait=wait, **members)


class Ticking:
    """A clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Slept:
    """The sleep of a RetryOpener: it remembers, and takes no time."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.phases: list[str] = []

    def of(self, chat: Chat) -> Callable[[float], Awaitable[None]]:
        async def sleep(seconds: float) -> None:
            self.seconds.append(seconds)
            self.phases.append(chat.trace.phase)

        return sleep


async def tried(
    acts: Sequence[Act], *, retries: int = 2, asked: Chat | None = None, **how: Any
) -> tuple[Any, Scripted, Slept]:
    """The frames or the failure, who was asked, and how long was slept."""
    inner, slept, asked = Scripted(acts), Slept(), asked or chat()
    retried = RetryOpener(
        inner, retries=retries, budget=how.pop("budget", RetryBudget(0.2)), sleep=slept.of(asked), **how
    )
    try:
        return await taken(retried, asked), inner, slept
    except UpstreamError as error:
        return error, inner, slept


# Which failures


@pytest.mark.parametrize("failure", [limited(), Unreachable("x"), Dropped("x"), Truncated("x"), Malformed("x")])
async def test_a_failure_that_may_pass_is_asked_again(failure: UpstreamError) -> None:
    got, inner, _ = await tried([failure, OK])
    assert (got, len(inner.opened)) == ([b"frame"], 2)


@pytest.mark.parametrize(
    "failure", [UpstreamError("bad", status=400), Saturated("full"), UpstreamError("quota", status=429)]
)
async def test_a_failure_that_does_not_pass_is_told_at_once(failure: UpstreamError) -> None:
    got, inner, slept = await tried([failure])
    assert (got, len(inner.opened), slept.seconds) == (failure, 1, [])
    assert "x-should-retry" not in failure.headers


async def test_what_is_no_upstream_error_passes() -> None:
    with pytest.raises(BadRequest):
        await tried([BadRequest("no")])


async def test_a_later_failure_of_another_kind_ends_it() -> None:
    bad = UpstreamError("bad", status=400)
    got, inner, _ = await tried([limited(), bad, OK])
    assert (got, len(inner.opened)) == (bad, 2)


async def test_never_after_the_first_frame() -> None:
    inner = Scripted([(b"one", Dropped("broke"))])
    with pytest.raises(Dropped):
        await taken(RetryOpener(inner, retries=5, budget=RetryBudget(1)), chat())
    assert len(inner.opened) == 1


async def test_never_after_the_first_frame_of_a_second_try() -> None:
    got, inner, _ = await tried([limited(), (b"one", Dropped("broke")), OK])
    assert isinstance(got, Dropped)
    assert len(inner.opened) == 2


async def test_failures_are_noted_by_their_codes() -> None:
    asked = chat()
    await tried([limited(), Dropped("x"), UpstreamError("x", status=500, retry_here=True)], asked=asked)
    assert asked.trace.failures == ["rate_limit", "upstream_disconnected", "500"]


# How often


@pytest.mark.parametrize("retries", [0, 1, 2, 5])
async def test_so_many_retries_and_no_more(retries: int) -> None:
    got, inner, slept = await tried([limited()], retries=retries)
    assert (len(inner.opened), len(slept.seconds)) == (retries + 1, retries)
    assert got.headers["x-should-retry"] == "false"


async def test_a_provider_that_is_starting_up_is_waited_for() -> None:
    loading = UpstreamError("loading", status=503, retry_here=True)
    loading.keeps_waiting = True
    got, inner, slept = await tried([*[loading] * 50, OK], retries=1)
    assert (got, len(inner.opened)) == ([b"frame"], 51)
    assert set(slept.seconds) == {0.5}


async def test_a_spent_budget_tells_the_first_failure_and_that_nobodys_retries_help() -> None:
    got, inner, slept = await tried([limited(), OK], budget=RetryBudget(0.2, least=0))
    assert (got.status, len(inner.opened), slept.seconds) == (429, 1, [])
    assert got.headers["x-should-retry"] == "false"


async def test_every_retry_is_paid_for_not_only_the_first() -> None:
    got, inner, _ = await tried([limited()], retries=5, budget=RetryBudget(0, least=3))
    assert (type(got), len(inner.opened)) == (UpstreamError, 4)


async def test_waiting_for_a_provider_that_is_starting_up_costs_nothing() -> None:
    loading = UpstreamError("loading", status=503, retry_here=True)
    loading.keeps_waiting = True
    got, _, _ = await tried([*[loading] * 50, OK], retries=1, budget=RetryBudget(0, least=0))
    assert got == [b"frame"]


async def test_in_quiet_hours_a_few_may_always_retry() -> None:
    budget = RetryBudget(0.2, least=3)
    assert [budget.allows() for _ in range(5)] == [True] * 3 + [False] * 2


async def test_what_was_spent_is_forgotten_after_a_while() -> None:
    clock = Ticking()
    budget = RetryBudget(0.2, least=1, clock=clock)
    assert [budget.allows(), budget.allows()] == [True, False]
    clock.now += 100
    assert budget.allows()


def under_load(inner: Scripted, count: int, *, share: float, a_second: float) -> int:
    """How often the provider was asked in all for so many requests, that many a second, each tried up to three times."""

    async def play() -> int:
        retried = RetryOpener(inner, retries=2, budget=RetryBudget(share))

        async def one() -> None:
            with suppress(UpstreamError):
                await taken(retried, chat())

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(one())
                await asyncio.sleep(1 / a_second)
        return len(inner.opened)

    return run(play())


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("a_second", [50, 500, 1e9])
def test_once_busy_retries_are_a_share_of_the_traffic(share: float, a_second: float) -> None:
    count = 2000
    asked = under_load(Scripted([limited()]), count, share=share, a_second=a_second)
    assert 0.5 * share <= (asked - count) / count <= 1.05 * share


def test_long_answers_earn_no_storm_of_retries_for_quick_failures() -> None:
    """Two hundred streams are open for all that time."""

    async def play() -> int:
        endless, failing = Scripted([asyncio.Event()]), Scripted([limited()])
        budget = RetryBudget(0.2)
        streams = [
            asyncio.ensure_future(taken(RetryOpener(endless, retries=0, budget=budget), chat())) for _ in range(200)
        ]
        await asyncio.sleep(100)
        for _ in range(50):
            with suppress(UpstreamError):
                await taken(RetryOpener(failing, retries=2, budget=budget), chat())
        for one in streams:
            one.cancel()
        await asyncio.wait(streams)
        return len(failing.opened)

    assert run(play()) < 50 * 2


# Whose wait


async def test_the_providers_wait_is_kept() -> None:
    _, _, slept = await tried([limited(3.0), OK])
    assert 3.0 <= slept.seconds[0] <= 3.25


async def test_without_one_the_wait_grows_within_bounds() -> None:
    _, _, slept = await tried([limited()], retries=8)
    assert all(0 <= one <= min(8.0, 0.25 * 2 ** (number + 1)) for number, one in enumerate(slept.seconds))
    assert len(set(slept.seconds)) > 1


async def test_a_wait_that_is_too_long_is_handed_to_the_client() -> None:
    got, inner, slept = await tried([limited(30.0, headers={"Retry-After": "30"})], max_wait=20.0)
    assert (len(inner.opened), slept.seconds) == (1, [])
    assert got.headers == {"Retry-After": "30"}


async def test_a_wait_beyond_the_deadline_is_handed_to_the_client() -> None:
    asked = chat()
    asked.trace.deadline = asyncio.get_running_loop().time() + 5
    got, inner, _ = await tried([limited(6.0), OK], asked=asked)
    assert (type(got), len(inner.opened)) == (UpstreamError, 1)


async def test_while_it_waits_it_says_so() -> None:
    asked = chat()
    _, _, slept = await tried([limited(2.0), OK], asked=asked)
    assert slept.phases == ["backing_off"]
    assert asked.trace.wait == slept.seconds[0]


# A wait that others were told


def told_before(first: UpstreamError, second: Chat, *, retries: int = 2) -> list[float]:
    """When the provider was asked: for the one that was told `first`, and for one that comes a second later."""
    asked: list[float] = []

    class Watched(Scripted):
        def open(self, chat: Chat) -> Any:
            asked.append(round(asyncio.get_running_loop().time() - 1000))
            return super().open(chat)

    async def play() -> list[float]:
        retried = RetryOpener(Watched([first, OK]), retries=retries, budget=RetryBudget(0.2))
        early = asyncio.ensure_future(taken(retried, chat()))
        await asyncio.sleep(1)
        await taken(retried, second)
        await asyncio.wait({early})
        return asked

    return run(play())


def test_who_asks_for_the_same_model_waits_as_well() -> None:
    assert told_before(limited(5.0), chat()) == [0, 5, 5]


def test_another_model_has_its_own_quota() -> None:
    assert told_before(limited(5.0), chat().asking("another")) == [0, 1, 5]


def test_who_has_no_time_to_wait_asks_at_once() -> None:
    hurried = chat()
    hurried.trace.deadline = 1003.0
    assert told_before(limited(5.0), hurried) == [0, 1, 5]


@pytest.mark.parametrize(
    "failure",
    [
        limited(30.0),
        UpstreamError("quota", status=429, wait=5.0),
        UpstreamError("busy", status=503, retry_here=True, wait=5.0),
    ],
    ids=["longer than we wait at all", "not a matter of time", "not a quota"],
)
def test_what_is_no_wait_for_a_quota_concerns_nobody_else(failure: UpstreamError) -> None:
    assert told_before(failure, chat())[:2] == [0, 1]


def test_where_nothing_is_to_be_tried_again_nobody_waits() -> None:
    assert told_before(limited(5.0), chat(), retries=0) == [0, 1]


# Cancelling


async def test_a_cancel_in_the_backoff_makes_no_further_attempt() -> None:
    inner, waiting = Scripted([limited()]), asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(taken(RetryOpener(inner, retries=5, budget=RetryBudget(0.2), sleep=sleep), chat()))
    await waiting.wait()
    task.cancel()
    await asyncio.wait({task})
    await settled()
    assert task.cancelled()
    assert (len(inner.opened), inner.now) == (1, 0)


@pytest.mark.parametrize("acts", [[asyncio.Event()], [limited(), asyncio.Event()]])
async def test_a_cancel_while_it_opens_closes_it(acts: Sequence[Act]) -> None:
    inner = Scripted(acts)

    async def sleep(_: float) -> None: ...

    task = asyncio.ensure_future(taken(RetryOpener(inner, retries=5, budget=RetryBudget(0.2), sleep=sleep), chat()))
    await settled()
    assert inner.now == 1
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert (len(inner.opened), inner.now) == (len(acts), 0)


async def test_leaving_early_closes_the_provider() -> None:
    inner = Scripted([limited(), (b"one", b"two")])

    async def sleep(_: float) -> None: ...

    async with RetryOpener(inner, retries=1, budget=RetryBudget(0.2), sleep=sleep).open(chat()) as reply:
        assert await anext(aiter(reply.frames)) == b"one"
        assert inner.now == 1
    assert inner.now == 0


# Fallbacks


def chain(*inners: Scripted, attempts: int = 6) -> FailoverOpener:
    return FailoverOpener([(inner, f"model-{number}") for number, inner in enumerate(inners)], attempts=attempts)


@pytest.mark.parametrize(
    "failure",
    [limited(), UpstreamError("x", status=401), Saturated("x"), Truncated("x"), UpstreamError("x", status=404)],
)
async def test_the_next_one_answers(failure: UpstreamError) -> None:
    near, far = Scripted([failure]), Scripted()
    assert await taken(chain(near, far), chat()) == [b"frame"]
    assert [one.model for one in (*near.opened, *far.opened)] == ["model-0", "model-1"]


async def test_the_first_that_answers_is_the_only_one_asked() -> None:
    near, far = Scripted(), Scripted()
    await taken(chain(near, far), chat())
    assert (len(near.opened), len(far.opened)) == (1, 0)


async def test_the_clients_own_mistake_is_told_at_once() -> None:
    far = Scripted()
    with pytest.raises(UpstreamError, match="bad"):
        await taken(chain(Scripted([UpstreamError("bad", status=400, try_elsewhere=False)]), far), chat())
    assert far.opened == []


async def test_if_none_answers_the_last_failure_is_told() -> None:
    with pytest.raises(UpstreamError, match="second"):
        await taken(chain(Scripted([UpstreamError("first")]), Scripted([UpstreamError("second")])), chat())


async def test_attempts_are_bounded_over_the_whole_chain() -> None:
    inners = [Scripted([UpstreamError(f"no. {number}")]) for number in range(5)]
    with pytest.raises(UpstreamError, match=r"no\. 1"):
        await taken(chain(*inners, attempts=2), chat())
    assert sum(len(one.opened) for one in inners) == 2


async def test_once_an_answer_has_begun_nobody_else_is_asked() -> None:
    far = Scripted()
    with pytest.raises(Dropped):
        await taken(chain(Scripted([(b"one", Dropped("broke"))]), far), chat())
    assert far.opened == []


async def test_all_that_were_asked_are_closed() -> None:
    near, far = Scripted([UpstreamError("no")]), Scripted([asyncio.Event()])
    task = asyncio.ensure_future(taken(chain(near, far), chat()))
    await settled()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert (near.now, far.now) == (0, 0)
