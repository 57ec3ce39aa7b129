"""Every test of the client that waits runs under both loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from ssl import SSLContext

import pytest
import uvloop

from llmproxy.upstream.http import Client
from tests.upstream.http.scripted import Provider, Talk, serving

Serve = Callable[..., Awaitable[Provider]]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts scripted providers, which end with the test."""
    async with AsyncExitStack() as stack:

        async def start(talk: Talk, ssl: SSLContext | None = None, host: str = "127.0.0.1") -> Provider:
            return await stack.enter_async_context(serving(talk, ssl, host))

        yield start


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    await made.close()
