"""A gateway on a real socket in the test's own loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from aiohttp import ClientSession, web

from llmproxy.accounts.accounts import Accounts
from llmproxy.config import Config
from llmproxy.requests.registry import RequestRegistry
from llmproxy.requests.shared_answers import SharedAnswers
from llmproxy.routing.gateway import Gateway
from llmproxy.server.app import build
from llmproxy.server.context import ACCOUNTS, ANSWERS, REGISTRY
from llmproxy.store import Store


class Served(NamedTuple):
    """Where it is, a plain client to it, and what it holds."""

    url: str
    client: ClientSession
    registry: RequestRegistry
    store: Store
    accounts: Accounts
    answers: SharedAnswers


@asynccontextmanager
async def served(config: Config, where: Path | str | None = None) -> AsyncIterator[Served]:
    """Serves as long as the block lasts. where: the database's folder or URL; None keeps everything in memory."""
    gateway = Gateway.build(config)
    gateway.catalog.first.set()  # nobody asks the providers for their lists here
    async with Store(where) as store:
        app = build(config, gateway, cache(lambda: store))
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with ClientSession() as client:
                yield Served(
                    f"http://127.0.0.1:{runner.addresses[0][1]}",
                    client,
                    app[REGISTRY],
                    store,
                    app[ACCOUNTS],
                    app[ANSWERS],
                )
        finally:
            app[REGISTRY].stop_all("drain")
            await app[REGISTRY].idle()
            await runner.cleanup()
            await gateway.close()
