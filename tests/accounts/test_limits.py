"""Requests and tokens a minute, and requests at once: as arithmetic, and asked of a running gateway."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.accounts import rate
from llmproxy.accounts.limits import Live, shown
from llmproxy.config import Group, Key
from llmproxy.core.errors import GatewayError
from llmproxy.testing import chunk, sse
from tests.accounts.house import ASK, KEYS, ROOT, House, answer, house, usage
from tests.waiting import soon

FIRST = sse(chunk({"role": "assistant", "content": "one "}), done=False)
PATIENCE = 10.0


# The arithmetic


def test_a_minutes_worth_may_go_at_once_and_then_one_after_the_other() -> None:
    full_at, now = 0.0, 1000.0
    for _ in range(6):
        assert rate.wait(full_at, now, 6, 1) == 0
        full_at = rate.taken(full_at, now, 6, 1)
    assert (rate.wait(full_at, now, 6, 1), rate.left(full_at, now, 6)) == (10, (0, 60))
    assert rate.wait(full_at, now + 10, 6, 1) == 0
    assert rate.left(full_at, now + 30, 6) == (3, 30)


def test_what_is_larger_than_the_bucket_goes_when_it_is_full() -> None:
    assert rate.wait(0.0, 100.0, 10, 50) == 0
    later = rate.taken(0.0, 100.0, 10, 50)
    assert rate.wait(later, 100.0, 10, 50) == 300


def test_a_large_limit_is_shown_as_a_whole_number() -> None:
    headers = shown([Live(Key("large", "", rpm=2_000_000, tpm=10**9), "key")], 0.0)
    assert headers["x-ratelimit-limit-requests"] == "2000000"
    assert headers["x-ratelimit-limit-tokens"] == "1000000000"


@given(
    per_minute=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 5)), max_size=60),
)
def test_no_minute_lets_more_than_twice_its_worth_pass_and_no_average_more_than_the_rate(
    per_minute: int, steps: list[tuple[float, int]]
) -> None:
    full_at, now, taken = 0.0, 0.0, []
    for pause, count in steps:
        now += pause
        if rate.wait(full_at, now, per_minute, count) == 0 and count <= per_minute:
            full_at = rate.taken(full_at, now, per_minute, count)
            taken.append((now, count))
    total = sum(count for _, count in taken)
    assert total <= per_minute * (1 + now / 60) + 1e-6
    for start, _ in taken:
        assert sum(count for at, count in taken if start <= at < start + 60) <= 2 * per_minute + 1e-6


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.12, "120ms"), (1, "1s"), (1.5, "1.5s"), (60, "1m0s"), (372.4, "6m12s"), (3723, "1h2m3s")],
)
def test_a_time_is_said_as_openai_says_it(seconds: float, text: str) -> None:
    assert rate.duration(seconds) == text


def test_the_headers_tell_of_whichever_account_has_least_left() -> None:
    key, group = Live(Key("ann", "", rpm=10), "key"), Live(Group("team", rpm=100, tpm=600), "group")
    for one in (key, group):
        one.take(0.0, 60)
    assert shown([key, group], 0.0) == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "9",
        "x-ratelimit-reset-requests": "6s",
        "x-ratelimit-limit-tokens": "600",
        "x-ratelimit-remaining-tokens": "540",
        "x-ratelimit-reset-tokens": "6s",
        "RateLimit-Policy": '"requests";q=10;w=60, "tokens";q=600;w=60',
        "RateLimit": '"requests";r=9;t=6, "tokens";r=540;t=6',
    }


def test_workers_divide_the_limits_among_them() -> None:
    live = Live(Key("ann", "", rpm=10, max_parallel=4), "key", share=2)
    for _ in range(2):
        live.check(0.0, 0)
        live.take(0.0, 0)
    with pytest.raises(GatewayError):
        live.check(0.0, 0)
    assert shown([live], 0.0)["x-ratelimit-limit-requests"] == "5"


# Over HTTP


def limited(**limits: Any) -> str:
    members = "\n".join(f"{name} = {value}" for name, value in limits.items())
    return f'{KEYS}\n[[server.keys]]\nname = "eve"\nsecret = "{EVE}"\n{members}\n[groups.team]\nmax_parallel = 1\n'


EVE = "eve-secret-of-some-length"


async def test_one_request_too_many_is_refused_with_the_time_and_the_headers() -> None:
    async with house(limited(rpm=2)) as there:
        for left in (1, 0):
            there.provider.answers(
                answer(), headers={"content-type": "application/json", "x-ratelimit-limit-requests": "9"}
            )
            status, _, headers = await there.ask(EVE)
            assert (status, headers["x-ratelimit-remaining-requests"]) == (200, str(left))
            assert (headers["x-ratelimit-limit-requests"], headers["X-LLMProxy-Upstream-ratelimit-limit-requests"]) == (
                "2",
                "9",
            )
        status, told, headers = await there.ask(EVE)
        assert (status, told["error"]["code"], told["error"]["type"]) == (429, "rate_limit_exceeded", "requests")
        assert 25 <= int(headers["Retry-After"]) <= 30
        assert headers["RateLimit-Policy"] == '"requests";q=2;w=60'
        assert len(there.provider.exchanges) == 2


async def test_tokens_are_corrected_by_what_was_counted() -> None:
    async with house(limited(tpm=100_000)) as there:
        there.provider.answers(answer(usage=usage(40_000, 50_000)))
        await there.ask(EVE)
        there.provider.answers(answer())
        _, _, headers = await there.ask(EVE)
        assert 8_000 < int(headers["x-ratelimit-remaining-tokens"]) < 11_000


async def test_parallel_requests_are_limited_and_their_places_come_back() -> None:
    async with house(limited(max_parallel=1)) as there:
        there.provider.hangs(FIRST)
        url, bearer = f"{there.gateway.base_url}/chat/completions", {"Authorization": f"Bearer {EVE}"}
        async with there.client.post(url, json={**ASK, "stream": True}, headers=bearer) as streaming:
            await streaming.content.readany()
            status, told, _ = await there.ask(EVE)
            assert (status, told["error"]["type"]) == (429, "parallel")
        await until_idle(there)
        there.provider.answers(answer())
        assert (await there.ask(EVE))[0] == 200


async def test_a_group_must_allow_it_too() -> None:
    async with house(limited(group='"team"')) as there:
        there.provider.hangs(FIRST)
        url, bearer = f"{there.gateway.base_url}/chat/completions", {"Authorization": f"Bearer {EVE}"}
        async with there.client.post(url, json={**ASK, "stream": True}, headers=bearer) as streaming:
            await streaming.content.readany()
            status, told, _ = await there.ask(EVE)
            assert (status, "group 'team'" in told["error"]["message"]) == (429, True)


async def test_a_key_without_limits_sees_the_providers_own_numbers() -> None:
    async with house() as there:
        there.provider.answers(
            answer(), headers={"content-type": "application/json", "x-ratelimit-limit-requests": "9"}
        )
        _, _, headers = await there.ask(ROOT)
        assert headers["x-ratelimit-limit-requests"] == "9"
        assert "RateLimit" not in headers


async def until_idle(there: House) -> None:
    async def look() -> bool:
        return not (await there.call("GET", "/v1/requests", ROOT))[1]["data"]

    await soon(look)
