"""The demo's models that fail on purpose: each fails as its name says, and everything around it does what it does for real."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from llmproxy.adapters.demo_faults import FAULTS

from llmproxy.config import Alias, Config, Limits, Provider, Timeouts
from tests.in_loop import Served, served

Json = dict[str, Any]
ALIASES = {"rescued": Alias("rescued", chain=("demo/429", "demo/hello"))}


@asynccontextmanager
async def gateway(**limits: Any) -> AsyncIterator[Served]:
    demo = Provider("demo", "demo", timeouts=Timeouts(idle=0.5), options={"tokens_per_second": 150})
    async with served(Config(providers=(demo,), aliases=ALIASES, limits=Limits(**limits))) as one:
        yield one


async def asked(here: Served, model: str) -> tuple[int, Mapping[str, str], bytes]:
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    async with here.client.post(f"{here.url}/v1/chat/completions", json=body) as answer:
        return answer.status, answer.headers, await answer.read()


async def trace(here: Served, headers: Mapping[str, str]) -> Json:
    async with here.client.get(f"{here.url}/v1/requests/{headers['X-Request-ID']}/trace") as answer:
        told: Json = await answer.json()
        return told


def code(stream: bytes) -> str | None:
    """Of the error that a stream ends with."""
    last = stream.rstrip().rpartition(b"data: ")[2]
    return None if last == b"[DONE]" else orjson.loads(last)["error"]["code"]


async def test_429_refuses_every_try_and_says_when_to_come_again() -> None:
    async with gateway(retries=0) as here:
        status, headers, _ = await asked(here, "demo/429")
        assert (status, headers["Retry-After"]) == (429, "1")
        [attempt] = (await trace(here, headers))["attempts"]
        assert (attempt["usage_source"], attempt["tokens"]) == ("none", None), "a refusal is not billed"


async def test_flaky_answers_the_second_try_after_the_wait_it_asked_for() -> None:
    async with gateway() as here:
        status, headers, stream = await asked(here, "demo/flaky")
        told = await trace(here, headers)
        assert (status, code(stream)) == (200, None)
        assert [one["state"] for one in told["attempts"]] == ["failed", "answered"]
        [wait] = told["waits"]
        assert (wait["kind"], wait["code"]) == ("backoff", "rate_limit_exceeded")
        assert wait["end_ms"] - wait["start_ms"] >= 999


@pytest.mark.parametrize(("model", "how"), [("cut", "upstream_truncated"), ("stall", "upstream_idle_timeout")])
async def test_what_breaks_off_in_the_middle_is_called_broken(model: str, how: str) -> None:
    async with gateway() as here:
        status, headers, stream = await asked(here, f"demo/{model}")
        told = await trace(here, headers)
        assert (status, code(stream)) == (200, how)
        assert len(told["attempts"]) == 1, "an answer that has begun is never asked for again"
        assert told["code"] == how


async def test_a_pause_is_a_gap_of_an_answer_that_ends_well() -> None:
    patient = Provider("demo", "demo", options={"tokens_per_second": 150})
    async with served(Config(providers=(patient,))) as here:
        _, headers, stream = await asked(here, "demo/pause")
        told = await trace(here, headers)
        assert (told["state"], code(stream)) == ("completed", None)
        assert told["attempts"][0]["gaps"]["count"] == 1


async def test_a_slow_start_has_its_first_word_late() -> None:
    async with gateway() as here:
        _, headers, _ = await asked(here, "demo/slow-start")
        assert (await trace(here, headers))["first_frame_ms"] >= 200 / 150 * 1000


async def test_a_chain_takes_over_from_the_one_that_refuses() -> None:
    async with gateway(retries=0) as here:
        status, headers, stream = await asked(here, "rescued")
        told = await trace(here, headers)
        assert (status, code(stream)) == (200, None)
        assert [(one["why"], one["model"]) for one in told["attempts"]] == [("first", "429"), ("failover", "hello")]


async def test_every_fault_is_offered_by_its_name() -> None:
    async with gateway() as here, here.client.get(f"{here.url}/v1/models") as answer:
        offered = {one["id"] for one in (await answer.json())["data"]}
        assert {f"demo/{name}" for name in FAULTS} <= offered
