"""Every check of the conformance tool on this gateway itself, as a real process."""

from __future__ import annotations

import asyncio

import pytest

from llmproxy.testing.conformance import CHECKS, Result, run, table
from tests.gateway import free_port, running_gateway

CONFIG = """
[providers.openai]
base_url = "http://127.0.0.1:{port}/v1"
api_key = "nobody's"

[providers.openai.breaker]
failures = 100000
samples = 100000
"""
NAMES = [f"{check.group}: {check.name}" for check in CHECKS]


@pytest.fixture(scope="session")
def results() -> dict[str, Result]:
    port = free_port()
    with running_gateway(CONFIG.format(port=port)) as gateway:
        found = asyncio.run(run(gateway.url, port, "openai/fake-model"))
    return {f"{one.group}: {one.name}": one for one in found}


@pytest.mark.parametrize("name", NAMES)
def test_the_gateway_conforms(results: dict[str, Result], name: str) -> None:
    assert results[name].passed, results[name].seen


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_the_table_is_markdown() -> None:
    rows = table([Result("a", "b|c", True, "x\ny")]).splitlines()
    assert rows[0].startswith("| check")
    assert rows[2] == "| a: b\\|c | pass | x y |"
