"""Coding agents where something goes wrong: they wait as they are told, take no half answer for a whole one, and let go."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.agent import Agent, installed
from tests.clients.coding_agents import EVERY
from tests.clients.wires.provider import Model, broken_off, never_ending, refusal
from tests.clients.workplace import FOREIGN, HELLO, NATIVE, Run, Workplace, running_workplace
from tests.waiting import soon

pytestmark = [
    pytest.mark.skipif(not os.environ.get("CI"), reason="coding agents run where CI is set"),
    pytest.mark.timeout(180),
]
WAIT = 1.0  # seconds that the provider says
WATCHED = 10.0  # seconds from the first request, in which a loop without pauses would show


@pytest.fixture(scope="module")
def place() -> Iterator[Workplace]:
    with running_workplace() as made:
        yield made


@pytest.fixture(scope="module", params=EVERY, ids=str)
def agent(request: pytest.FixtureRequest) -> Agent:
    found: Agent = request.param
    if not installed(found):
        pytest.skip("it is not installed: `make test-clients` installs it")
    return found


@pytest.fixture(scope="module")
def put_off(agent: Agent, place: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """It asked, was told to wait, and then that there is too much to do."""
    provider = NATIVE[agent.dialect]
    limited = refusal(429, "Slow down.", retry_after=f"{WAIT:g}")
    overloaded = refusal(529 if provider == "anthropic" else 503, "Overloaded.", retry_after=f"{WAIT:g}")
    return place.ask(agent, provider, tmp_path_factory.mktemp("home"), incidents=[limited, overloaded])


def test_it_waits_after_a_429_as_long_as_the_provider_says(put_off: Run) -> None:
    first, second, *_ = put_off.model.exchanges
    assert second.received_at - first.received_at >= WAIT


def test_it_asks_again_after_an_overload_and_then_shows_the_answer(put_off: Run) -> None:
    assert (put_off.ended.code, HELLO in put_off.ended.output) == (0, True), put_off.ended.output
    assert len(put_off.model.exchanges) == 3


def test_a_stream_that_breaks_off_is_no_success_and_no_loop(agent: Agent, place: Workplace, tmp_path: Path) -> None:
    async def watched(model: Model) -> None:
        await _asked(model)
        await asyncio.sleep(WATCHED)
        raise TimeoutError

    run = place.ask(agent, FOREIGN[agent.dialect], tmp_path, always=broken_off, until=watched)
    assert 1 <= len(run.exchanges) <= 12, "it asks again and again"
    assert run.ended.code != 0 or "rror" in run.ended.output, run.ended.output


def test_ctrl_c_closes_the_connection_to_the_provider(agent: Agent, place: Workplace, tmp_path: Path) -> None:
    async def begun(model: Model) -> None:
        await _asked(model)
        await model.exchanges[0].sent.wait()
        await asyncio.sleep(0.5)  # the agent has shown it, and listens to signals

    run = place.ask(agent, NATIVE[agent.dialect], tmp_path, always=never_ending, until=begun)
    assert run.exchanges
    place.call(place.closed(run.exchanges))


async def _asked(model: Model) -> None:
    async def look() -> bool:
        return bool(model.exchanges)

    await soon(look, seconds=80)
