"""A gateway on a real socket in the test's own loop, fake providers behind it, and Google's SDK in front."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from google import genai

from llmproxy.config import Config, Provider
from llmproxy.testing import FakeProvider
from tests.dialects.gemini.house import House
from tests.in_loop import served


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
    async with served(Config(providers=providers)) as (url, client, registry, *_):
        google = genai.Client(api_key="key", http_options={"base_url": url, "retry_options": {"attempts": 1}})
        yield House(url, client, google, registry)
        await google.aio.aclose()
