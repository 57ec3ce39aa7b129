"""A gateway on a real socket in the test's own loop, with a fake provider behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from llmproxy.config import Config, Provider, Server
from llmproxy.testing import FakeProvider
from tests.in_loop import served
from tests.threads.house import House, Open, Setting


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as made:
        yield made


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is about the database is tested with each."""
    if "opened" in metafunc.fixturenames:
        metafunc.parametrize("opened", getattr(metafunc.module, "PLACES", ("sqlite", "postgres")), indirect=True)


@pytest.fixture
def opened(request: pytest.FixtureRequest, provider: FakeProvider, tmp_path: Path) -> Open:
    """Opens a house, with a setting of its own; always over the same database."""
    server = request.getfixturevalue("postgres_url") if request.param == "postgres" else None

    @asynccontextmanager
    async def opening(setting: Setting | None = None) -> AsyncIterator[House]:
        setting = setting or Setting()
        fake = Provider("fake", setting.adapter, provider.url + "/v1", models=("m",), list_models=False, retries=0)
        config = Config(
            server=Server(keys=setting.keys),
            limits=setting.limits,
            providers=(fake,),
            aliases=setting.aliases,
            modes=setting.modes,
            default_model=setting.default_model,
        )
        async with served(config, server or (tmp_path / "data" if setting.on_disk else None)) as (
            url,
            client,
            registry,
            store,
            _,
            _,
        ):
            yield House(url, client, registry, store)

    return opening


@pytest.fixture
async def house(opened: Open) -> AsyncIterator[House]:
    async with opened() as made:
        yield made
