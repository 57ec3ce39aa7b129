"""Applies changes of keys in the store, made by any process, within a second."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from llmproxy.accounts.keys import Learned
from llmproxy.config import Storage
from llmproxy.core.errors import GatewayError
from llmproxy.observe.log import log
from llmproxy.observe.periodic import failed
from llmproxy.store import accounts as stored
from llmproxy.store.accounts import NOTHING, Known
from llmproxy.store.sqlite.database import FILE

from .context import ACCOUNTS, CURRENT, REGISTRY, STORE
from .opened_store import opened

_LOOK = 1.0  # seconds
_MANY = 200  # keys, whose index is made beside the event loop


@asynccontextmanager
async def followed(app: web.Application) -> AsyncIterator[None]:
    """Looks every second for as long as the block lasts."""
    task = asyncio.get_running_loop().create_task(_follow(app))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _follow(app: web.Application) -> None:
    seen = 0.0
    while True:
        await asyncio.sleep(_LOOK)
        try:
            if (store := opened(app[STORE])) is not None or app[CURRENT].config.storage.url:
                await (store or app[STORE]()).beat()
                await refresh(app)
            elif (written := _written(app)) != seen:
                seen = written
                await learn(app, await asyncio.to_thread(keys_of, app[CURRENT].config.storage))
        except GatewayError:  # the store says so itself, once
            continue
        except Exception as error:  # noqa: BLE001  # whatever it is, the next look comes all the same
            log.error("keys_not_read", failure=type(error).__name__)
        stop_gone(app)
        try:
            await app[ACCOUNTS].bank.tidy()
        except Exception as error:  # noqa: BLE001  # as above
            failed("budgets", error)


def keys_of(storage: Storage) -> Known:
    """Those in the database of a configuration, whether it is open or not."""
    return stored.known_at(storage.where) if storage.enabled else NOTHING


async def refresh(app: web.Application) -> None:
    """Takes up what is in the store now."""
    store = app[STORE]()
    if await store.read(stored.number) != app[ACCOUNTS].keys.known.number:
        await learn(app, await store.read(stored.known))


async def learn(app: web.Application, known: Known) -> None:
    ring = app[ACCOUNTS].keys
    before = ring.known.number
    if known.read and known is not NOTHING and known.number != before:
        learned = Learned(known) if len(known.accounts) < _MANY else await asyncio.to_thread(Learned, known)
        if ring.known.number == before or known.number > ring.known.number:  # or a later look was faster
            ring.learn(learned)
        stop_gone(app)


def forget(app: web.Application, name: str) -> None:
    """A key that another replica has revoked: it counts no more here, even while the store cannot be read."""
    app[ACCOUNTS].keys.revoke(name, time.time())
    stop_gone(app)


def stop_gone(app: web.Application) -> None:
    """Stops the requests of keys that count no more."""
    keys, now = app[ACCOUNTS].keys, time.time()
    owners = {one.owner for one in app[REGISTRY]} - {""}
    if gone := {owner for owner in owners if not keys.counts(owner, now)}:
        app[REGISTRY].stop_all("key_revoked", lambda one: one.owner in gone)


def _written(app: web.Application) -> float:
    """When a database that this process has not opened was last written; 0 if there is none, or none is kept."""
    storage = app[CURRENT].config.storage
    times = []
    for name in (FILE, f"{FILE}-wal"):
        with suppress(OSError):
            times.append(os.stat(os.path.join(storage.dir, name)).st_mtime)
    return max(times, default=0.0) if storage.enabled else 0.0
