"""A gateway on a real socket in the test's own loop, a fake provider behind it, and Anthropic's SDK in front."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import pytest
from aiohttp import ClientSession, web
from anthropic import AsyncAnthropic

from llmproxy.config import Config, Provider
from llmproxy.routing.gateway import Gateway
from llmproxy.server.app import build
from llmproxy.server.context import REGISTRY
from llmproxy.store import Store
from llmproxy.testing import FakeProvider
from tests.dialects.messages.house import House, Open


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
        config = Config(**{"providers": (fake,), **members})
        gateway = Gateway.build(config)
        gateway.catalog.first.set()  # nobody asks for lists here
        async with Store(None) as store:
            app = build(config, gateway, cache(lambda: store))
            runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                async with ClientSession() as client:
                    sdk = AsyncAnthropic(base_url=url, api_key="key", max_retries=0)
                    yield House(url, client, sdk, app[REGISTRY])
            finally:
                app[REGISTRY].stop_all("drain")
                await app[REGISTRY].idle()
                await runner.cleanup()
                await gateway.close()

    return opening


@pytest.fixture
async def house(opened: Open) -> AsyncIterator[House]:
    async with opened() as made:
        yield made
