"""A gateway on a real socket in the test's own loop, with a fake provider behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from llmproxy.config import Config, Provider, Server
from llmproxy.routing.gateway import Gateway
from llmproxy.server.app import build
from llmproxy.server.context import REGISTRY
from llmproxy.store import Store
from llmproxy.testing import FakeProvider
from tests.threads.house import House, Open, Setting


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as made:
        yield made


@pytest.fixture
def opened(provider: FakeProvider, tmp_path: Path) -> Open:
    """Opens a house, with a setting of its own; always over the same database."""

    @asynccontextmanager
    async def opening(setting: Setting | None = None) -> AsyncIterator[House]:
        setting = setting or Setting()
        fake = Provider("fake", "compatible", provider.url + "/v1", models=("m",), list_models=False, retries=0)
        config = Config(
            server=Server(keys=setting.keys),
            limits=setting.limits,
            providers=(fake,),
            aliases=setting.aliases,
            modes=setting.modes,
            default_model=setting.default_model,
        )
        gateway = Gateway.build(config)
        async with Store(tmp_path / "data" if setting.on_disk else None) as store:
            app = build(config, gateway, cache(lambda: store))
            runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                async with ClientSession() as client:
                    yield House(f"http://127.0.0.1:{runner.addresses[0][1]}", client, app[REGISTRY], store)
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
