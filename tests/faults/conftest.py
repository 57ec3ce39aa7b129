"""One gateway process for all these tests, and a provider on a raw socket behind it for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from llmproxy.testing import FakeProvider
from llmproxy.testing.provider import Route
from tests.faults.house import House, config
from tests.faults.phases import full_socket
from tests.gateway import Gateway, free_port, running_gateway

Started = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture(scope="session")
def provider_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def shared(provider_port: int) -> Iterator[Gateway]:
    with full_socket() as full, running_gateway(config(provider_port, full)) as gateway:
        yield gateway


@pytest.fixture
async def house(shared: Gateway, provider_port: int) -> AsyncIterator[House]:
    async with FakeProvider(provider_port) as provider:
        yield House(shared, provider)


@pytest.fixture
def started() -> Started:
    """A gateway of a test's own: `async with started(drain_timeout=1) as house`, or with a whole config's text."""

    @asynccontextmanager
    async def starting(
        text: str | None = None,
        /,
        *,
        environment: dict[str, str] | None = None,
        limits: str = "",
        keys: str = "",
        route: Route | None = None,
        **server: object,
    ) -> AsyncIterator[House]:
        async with FakeProvider(route=route) as provider:
            with full_socket() as full:
                here = config(provider.port, full, limits, keys, **server) if text is None else text
                with running_gateway(here.replace("PORT", str(provider.port)), environment) as gateway:
                    yield House(gateway, provider)

    return starting
