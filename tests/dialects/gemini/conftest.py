"""A gateway on a real socket in the test's own loop, fake providers behind it, and Google's SDK in front."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache

import pytest
from aiohttp import ClientSession, web
from google import genai

from llmproxy.config import Config, Provider
from llmproxy.routing.gateway import Gateway
from llmproxy.server.app import build
from llmproxy.server.context import REGISTRY
from llmproxy.store import Store
from llmproxy.testing import FakeProvider
from tests.dialects.gemini.house import House


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as made:
        yield made


@pytest.fixture
async def house(provider: FakeProvider) -> AsyncIterator[House]:
    providers = tuple(
        Provider(name, adapter, provider.url + path, "sk-upstream", models=("m",), list_models=False, retries=0)
        for name, adapter, path in (
            ("chat", "compatible", "/v1"),
            ("openai", "openai", "/v1"),
            ("gemini", "gemini", "/v1beta"),
        )
    )
    gateway = Gateway.build(Config(providers=providers))
    async with Store(None) as store:
        app = build(gateway.config, gateway, cache(lambda: store))
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        google = genai.Client(api_key="key", http_options={"base_url": url, "retry_options": {"attempts": 1}})
        try:
            async with ClientSession() as client:
                yield House(url, client, google, app[REGISTRY])
        finally:
            await google.aio.aclose()
            app[REGISTRY].stop_all("drain")
            await app[REGISTRY].idle()
            await runner.cleanup()
            await gateway.close()
