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

KEY_A, KEY_B, KEY_ROOT = "a-secret-of-some-length", "b-secret-of-some-length", "root-secret-of-some-length"
KEYS = f"""
    [[server.keys]]
    name = "a"
    secret = "{KEY_A}"
    [[server.keys]]
    name = "b"
    secret = "{KEY_B}"
    models = ["p/allowed*"]
    detach = false
    [[server.keys]]
    name = "root"
    secret = "{KEY_ROOT}"
    admin = true
    """
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


@pytest.fixture(scope="session")
def shared_with_keys(guarded_port: int) -> Iterator[Gateway]:
    with running_gateway(config(guarded_port, keys=KEYS)) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def guarded_port() -> int:
    return free_port()


@pytest.fixture
async def guarded(shared_with_keys: Gateway, guarded_port: int) -> AsyncIterator[House]:
    """A gateway that wants keys: of `a`, of `b`, who may use little, and of an administrator."""
    async with FakeProvider(guarded_port) as provider:
        yield House(shared_with_keys, provider)


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
