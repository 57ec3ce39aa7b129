"""A gateway on a real socket in the test's own loop, a fake provider behind it, and Anthropic's SDK in front."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from anthropic import AsyncAnthropic

from llmproxy.config import Config, Provider
from llmproxy.testing import FakeProvider
from tests.dialects.messages.house import House, Open
from tests.in_loop import served


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as made:
        yield made


@pytest.fixture
def opened(provider: FakeProvider) -> Open:
    """Opens a house. `adapter` is the provider's; what else is given are members of the config."""

    @asynccontextmanager
    async def opening(adapter: str = "compatible", **members: Any) -> AsyncIterator[House]:
        fake = Provider("fake", adapter, provider.url + "/v1", "sk-up", models=("m",), list_models=False, retries=0)
        async with served(Config(**{"providers": (fake,), **members})) as (url, client, registry, *_):
            yield House(url, client, AsyncAnthropic(base_url=url, api_key="key", max_retries=0), registry)

    return opening


@pytest.fixture
async def house(opened: Open) -> AsyncIterator[House]:
    async with opened() as made:
        yield made
