"""The gateway inside another Python program: as an aiohttp application, or as a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from llmproxy.config import Config, load
from llmproxy.core.errors import StoreError
from llmproxy.routing.gateway import Gateway

from ..account_watch import followed
from ..app import build
from ..context import ACCOUNTS, CURRENT, REGISTRY, STORE, TURNS, UPLOADS
from ..opened_store import OpenedStores
from . import load_monitor

_LAST_WORDS = 10  # iterations of the event loop in which handlers write their last events
Given = Config | str | Path | None


def app(config: Given = None) -> web.Application:
    """The gateway as an aiohttp application, to be run alone or added to another one with `add_subapp`.

    config: a Config, or the path of an llmproxy.toml; by default the file and the environment, as `llmproxy serve` reads them.
    The runner must be created with `handler_cancellation=True`, otherwise a disconnect does not stop a request. Signals, the
    listening socket, workers and reload are up to the host program. Raises ConfigError.
    """
    loaded = config if isinstance(config, Config) else load(Path(config) if config is not None else None)
    gateway = Gateway.build(loaded)
    stores = OpenedStores(lambda: made[CURRENT].config)
    made = build(loaded, gateway, stores)
    made.cleanup_ctx.append(_lifetime)
    made.on_shutdown.append(_stop)
    return made


@asynccontextmanager
async def serving(config: Given = None, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serves while the block is active: `async with serving() as url`. Port 0 means any free port.

    Raises ConfigError, and OSError if the port is taken.
    """
    runner = web.AppRunner(app(config), handler_cancellation=True, shutdown_timeout=1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _stop(made: web.Application) -> None:
    """Before connections are closed: stops running requests, and reports it to their clients."""
    made[CURRENT].ready = False
    made[UPLOADS].refuse_all()
    made[TURNS].refuse_all()
    made[REGISTRY].stop_all("drain")
    await made[REGISTRY].idle()
    for _ in range(_LAST_WORDS):
        await asyncio.sleep(0)


async def _lifetime(made: web.Application) -> AsyncIterator[None]:
    """Keeps model lists and keys up to date while it serves; afterwards no request and no connection is left."""
    gateway: Gateway = made[CURRENT].gateway
    fresh = asyncio.get_running_loop().create_task(gateway.catalog.keep_fresh())
    try:
        with load_monitor.watching(made):
            async with followed(made):
                yield
    finally:
        fresh.cancel()
        await gateway.close()
        with suppress(StoreError):
            await made[ACCOUNTS].bank.close()
        stores = made[STORE]
        assert isinstance(stores, OpenedStores)
        await stores.close()
