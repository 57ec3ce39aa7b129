"""A coding agent with a real llama.cpp server behind the gateway, in each of its dialects.

pi's prompt is the smallest, a few thousand tokens of a model that knows nothing: what it says is no sense, but whole.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.agent import KEY, Agent, Desk, installed, run
from tests.clients.coding_agents import EVERY
from tests.gateway import Gateway, running_gateway
from tests.waiting import until

pytestmark = [
    pytest.mark.skipif(not os.environ.get("CI"), reason="coding agents run where CI is set"),
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed"),
    pytest.mark.timeout(180),
]
SHORT = ("--system-prompt", "You are brief.", "--tools", "bash")  # the model has a context of 4,096 tokens
AGENTS = [agent for agent in EVERY if agent.name.startswith("pi ")]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    from tests.llamacpp.conftest import running_llamacpp
    from tests.llamacpp.make_tiny_gguf import make

    model = tmp_path_factory.mktemp("model") / "m.gguf"
    make(model)
    with running_llamacpp(model, "--alias", "m", "--parallel", "1") as url:
        keys = f'[server]\nkeys = [{{ name = "me", secret = "{KEY}" }}]\n'
        with running_gateway(f'{keys}[providers.llamacpp]\nbase_url = "{url}/v1"\n') as made:
            yield made


@pytest.mark.parametrize("agent", AGENTS, ids=str)
def test_it_shows_what_a_real_model_says(agent: Agent, gateway: Gateway, tmp_path: Path) -> None:
    if not installed(agent):
        pytest.skip("it is not installed: `make test-clients` installs it")
    before = len(gateway.events("request"))
    ended = asyncio.run(run(agent, Desk(gateway.url, "llamacpp/m", tmp_path), "Say hello", *SHORT, limit=120))
    assert ended.code == 0, ended.output
    first, *_ = until(lambda: gateway.events("request")[before:])
    assert (first["outcome"], first["face"], first["provider"]) == ("ok", agent.dialect, "llamacpp")
    assert first["tokens_out"] > 0
    assert ended.output.strip()
