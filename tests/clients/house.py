"""A real gateway process between clients and two upstreams, which live in a thread so that clients may block."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

import orjson

from llmproxy.testing import Behaviour, Exchange, FakeProvider
from tests.clients import gemini_upstream, openai_upstream
from tests.gateway import Gateway, running_gateway

KEY, ADMIN_KEY = "key-of-a-client", "key-of-the-operator"
PATIENCE = 10.0  # seconds until something that must happen is said not to have happened

CONFIG = """
[[server.keys]]
name = "client"
secret = "{key}"

[[server.keys]]
name = "operator"
secret = "{admin}"
admin = true

[providers.openai]
base_url = "{url}/openai/v1"
api_key = "{openai}"
breaker = {{ failures = 100000, samples = 100000 }}

[providers.gemini]
base_url = "{url}/gemini/v1beta"
api_key = "{gemini}"
models = ["{gemini_model}"]
breaker = {{ failures = 100000, samples = 100000 }}

[providers.openai-expired]
adapter = "openai"
base_url = "{url}/openai/v1"
api_key = "sk-expired"
breaker = {{ failures = 100000, samples = 100000 }}
list_models = false

[providers.gemini-expired]
adapter = "gemini"
base_url = "{url}/gemini/v1beta"
api_key = "AIza-expired"
breaker = {{ failures = 100000, samples = 100000 }}
list_models = false
"""


@dataclass(slots=True)
class House:
    """The gateway, and what reaches the providers behind it."""

    gateway: Gateway
    provider: FakeProvider
    loop: asyncio.AbstractEventLoop

    @property
    def base_url(self) -> str:
        return self.gateway.base_url

    @contextmanager
    def one_request(self) -> Iterator[Future[Exchange]]:
        """The only request that reaches a provider within the block; known when the block is left."""
        asyncio.run_coroutine_threadsafe(_forget(self.provider), self.loop).result()
        found = Future[Exchange]()
        yield found
        (exchange,) = self.provider.exchanges
        found.set_result(exchange)

    async def arrival(self) -> Exchange:
        """The request of the block, once the provider has it. For those who wait in a loop of their own."""
        received = asyncio.run_coroutine_threadsafe(self.provider.received(), self.loop)
        return await asyncio.wrap_future(received)

    def assert_closed(self, exchange: Exchange) -> None:
        """The provider sees its connection close, and then no request runs in the gateway any more."""
        asyncio.run_coroutine_threadsafe(_closed(exchange), self.loop).result()
        deadline = time.monotonic() + PATIENCE
        while (listed := self.requests())["data"] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert listed["data"] == []
        asked = exchange.json.get("model", exchange.path)  # Gemini's name is in the path
        last = next(one for one in listed["recent"] if one["provider_model"] in asked)
        assert (last["state"], last["by"], last["code"]) == ("cancelled", "client_disconnect", "request_cancelled"), (
            last
        )

    def requests(self) -> Any:
        """GET /v1/requests, as the operator sees it."""
        asking = Request(f"{self.base_url}/requests", headers={"Authorization": f"Bearer {ADMIN_KEY}"})
        with urlopen(asking) as response:
            return orjson.loads(response.read())


async def _forget(provider: FakeProvider) -> None:
    provider.forget()


async def _closed(exchange: Exchange) -> None:
    async with asyncio.timeout(PATIENCE):
        await exchange.closed.wait()


@contextmanager
def running_house() -> Iterator[House]:
    provider = FakeProvider(route=_route, models=[openai_upstream.CHAT])
    with elsewhere(provider) as loop, running_gateway(_config(provider.url)) as gateway:
        yield House(gateway, provider, loop)


def _route(exchange: Exchange) -> Behaviour | None:
    if exchange.method != "POST":
        return None
    return gemini_upstream.answer(exchange) if exchange.path.startswith("/gemini") else openai_upstream.answer(exchange)


def _config(url: str) -> str:
    return CONFIG.format(
        key=KEY,
        admin=ADMIN_KEY,
        url=url,
        openai=openai_upstream.KEY,
        gemini=gemini_upstream.KEY,
        gemini_model=gemini_upstream.MODEL,
    )


@contextmanager
def elsewhere(provider: FakeProvider) -> Iterator[asyncio.AbstractEventLoop]:
    """The provider, served by a loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(provider.__aenter__(), loop).result()
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(provider.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
