"""Coding agents work with a model of another provider as with their own: they answer, run tools, stop, and see what breaks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from llmproxy.testing import FakeProvider
from tests.clients import agent as agents
from tests.clients.agent import DONE, HELLO, Agent, run
from tests.clients.environments import CODING_AGENTS
from tests.gateway import Gateway, running_gateway
from tests.waiting import soon

pytestmark = [
    pytest.mark.skipif(not CODING_AGENTS.ready, reason="the agents are not installed: make test-clients installs them"),
    pytest.mark.skipif(not os.environ.get("CI"), reason="coding agents run where CI is set"),
]


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as made:
        yield made


@pytest.fixture
def gateway(provider: FakeProvider) -> Iterator[Gateway]:
    config = f"""
        [server]
        keys = [{{ name = "me", secret = "{agents.KEY}" }}]
        [providers.fake]
        adapter = "compatible"
        base_url = "{provider.url}/v1"
        api_key = "sk-up"
        models = ["m"]
        list_models = false
        retries = 0
        """
    with running_gateway(config) as made:
        yield made


async def spoken(gateway: Gateway) -> set[str]:
    """The dialects of all requests; their lines are written a moment after the answers."""

    async def look() -> set[str]:
        return {line["face"] for line in gateway.events("request")}

    return await soon(look)


@pytest.mark.parametrize("agent", agents.EVERY, ids=str)
async def test_it_shows_what_the_model_says(
    agent: Agent, provider: FakeProvider, gateway: Gateway, tmp_path: Path
) -> None:
    provider.route = agents.greets
    ended = await run(agent, gateway.url, tmp_path, "Say hello")
    assert HELLO in ended.output
    assert ended.code == 0, ended.output
    assert await spoken(gateway) == {agent.dialect}


@pytest.mark.parametrize("agent", agents.EVERY, ids=str)
async def test_it_runs_two_commands_and_gives_their_results_back(
    agent: Agent, provider: FakeProvider, gateway: Gateway, tmp_path: Path
) -> None:
    provider.route = agents.works(agent)
    ended = await run(agent, gateway.url, tmp_path, "Run two echos")
    assert DONE in ended.output, ended.output
    assert "result-0" in ended.output
    assert "result-1" in ended.output
    assert ended.code == 0


@pytest.mark.parametrize("agent", agents.EVERY, ids=str)
async def test_a_stream_that_breaks_off_is_no_success_and_no_loop(
    agent: Agent, provider: FakeProvider, gateway: Gateway, tmp_path: Path
) -> None:
    provider.route = agents.breaks_off
    ended = await run(agent, gateway.url, tmp_path, "Say much", limit=20)
    assert len(provider.exchanges) <= 40, "it asks again and again"
    assert ended.code != 0 or "rror" in ended.output, ended.output


@pytest.mark.parametrize("agent", agents.EVERY, ids=str)
async def test_ctrl_c_closes_the_connection_to_the_provider(
    agent: Agent, provider: FakeProvider, gateway: Gateway, tmp_path: Path
) -> None:
    provider.route = agents.never_ends

    async def begun() -> None:
        exchange = await provider.received()
        await exchange.sent.wait()
        await asyncio.sleep(0.5)  # the agent has shown it, and listens to signals

    await run(agent, gateway.url, tmp_path, "Say much", limit=40, until=begun)
    async with asyncio.timeout(10):
        for exchange in provider.exchanges:
            await exchange.closed.wait()
