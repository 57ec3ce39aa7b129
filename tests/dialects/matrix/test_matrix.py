"""Every dialect before every kind of provider: one story, told on the provider's own wire, is heard by each official SDK."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from llmproxy.config import Config, Provider
from llmproxy.testing import FakeProvider
from tests.dialects.matrix.clients import CLIENTS, PNG, Ask, Heard, hears
from tests.dialects.matrix.providers import Story, route
from tests.in_loop import served

PROVIDERS = (
    "openai",
    "anthropic",
    "gemini",
    "openrouter",
    "perplexity",
    "llamacpp",
    "compatible",
    "vllm",
    "ollama",
    "azure",
)
AS_COMPATIBLE = ("openrouter", "vllm", "ollama", "azure")  # their wire is that of another one here
TEXT = Story("Hello there, all of you.")
ONE = Story("Let me see.", calls=(("look", {"at": "sky"}),))
TWO = Story(calls=(("look", {"at": "sky"}), ("look", {"at": "sea"})))
REASONED = Story("Blue.", reasoning="The sky is blue.")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(provider: FakeProvider) -> AsyncIterator[str]:
    """One gateway with a provider of each kind, all at the fake one's address."""
    made = tuple(
        Provider(name, name, provider.url, "sk-up", models=("m",), list_models=False, retries=0) for name in PROVIDERS
    )
    async with served(Config(providers=made)) as (at, *_):
        yield at


pytestmark = pytest.mark.asyncio(loop_scope="module")
every = pytest.mark.parametrize(
    ("dialect", "name"),
    [
        pytest.param(dialect, name, marks=[pytest.mark.thorough] if name in AS_COMPATIBLE else [])
        for dialect in CLIENTS
        for name in PROVIDERS
    ],
)


async def told(provider: FakeProvider, url: str, dialect: str, story: Story, ask: Ask) -> Heard:
    provider.forget()
    provider.route = route(story)
    return await hears(CLIENTS[dialect], url, ask)


@every
async def test_text_and_usage(provider: FakeProvider, url: str, dialect: str, name: str) -> None:
    heard = await told(provider, url, dialect, TEXT, Ask(f"{name}/m"))
    assert (heard.text, heard.calls, heard.tokens) == (TEXT.text, (), (30, 12))


@every
@pytest.mark.parametrize("story", [ONE, TWO], ids=["one call", "two calls"])
async def test_calls(provider: FakeProvider, url: str, dialect: str, name: str, story: Story) -> None:
    heard = await told(provider, url, dialect, story, Ask(f"{name}/m", tools=True))
    assert (heard.text, heard.calls) == (story.text, story.calls)


@every
async def test_reasoning(provider: FakeProvider, url: str, dialect: str, name: str) -> None:
    heard = await told(provider, url, dialect, REASONED, Ask(f"{name}/m"))
    assert (heard.text, heard.reasoning) == (REASONED.text, REASONED.reasoning)


@every
async def test_an_image_reaches_the_provider(provider: FakeProvider, url: str, dialect: str, name: str) -> None:
    await told(provider, url, dialect, TEXT, Ask(f"{name}/m", image=True))
    sent = provider.last.body.decode().replace("-", "+").replace("_", "/")  # Google's SDK writes base64 for addresses
    assert PNG in sent


@every
async def test_a_refusal_has_the_providers_status(provider: FakeProvider, url: str, dialect: str, name: str) -> None:
    heard = await told(provider, url, dialect, Story(status=400), Ask(f"{name}/m"))
    assert heard.status == 400


@every
async def test_leaving_closes_the_connection_to_the_provider(
    provider: FakeProvider, url: str, dialect: str, name: str
) -> None:
    provider.forget()
    provider.route = route(Story("Beginning of it", hangs=True))
    asking = asyncio.ensure_future(hears(CLIENTS[dialect], url, Ask(f"{name}/m")))
    exchange = await provider.received()
    await exchange.sent.wait()
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(5):
        await exchange.closed.wait()
