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
from llmproxy.store import Store
from llmproxy.store import accounts as stored
from llmproxy.store.accounts import NOTHING, Known
from llmproxy.store.sqlite.database import FILE

from .context import ACCOUNTS, CURRENT, REGISTRY, STORE
from .opened_store import opened

_LOOK = 1.0  # seconds
_LOOK_AWAY = 0.25  # while the database fails, so that all is back within a second of its return
_MANY = 200  # keys; above this number their index is built outside of the event loop


@asynccontextmanager
async def followed(app: web.Application) -> AsyncIterator[None]:
    """Checks every second while the block is active."""
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(_follow(app)), loop.create_task(_beat(app))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _beat(app: web.Application) -> None:
    """Heartbeat for the other replicas; it does not wait for other work on the database."""
    while True:
        await asyncio.sleep(_pause(app))
        try:
            if (store := _shared(app)) is not None:
                await store.beat()
        except GatewayError:  # as below
            continue
        except Exception as error:  # noqa: BLE001  # as below
            failed("heartbeat", error)


def _shared(app: web.Application) -> Store | None:
    """The store, if it is open, or if other replicas use it."""
    return app[STORE]() if app[CURRENT].config.storage.url else opened(app[STORE])


def _pause(app: web.Application) -> float:
    store = opened(app[STORE])
    return _LOOK_AWAY if store is not None and store.fault else _LOOK


async def _follow(app: web.Application) -> None:
    seen = 0.0
    while True:
        await asyncio.sleep(_pause(app))
        try:
            if (store := _shared(app)) is not None:
                await store.sweep()
                await refresh(app)
            elif (written := _written(app)) != seen:
                seen = written
                before = app[ACCOUNTS].keys.known.number
                await learn(app, await asyncio.to_thread(keys_of, app[CURRENT].config.storage), before)
        except GatewayError:  # the store logs its failure once itself
            continue
        except Exception as error:  # noqa: BLE001  # the next check must run after any failure
            log.error("keys_not_read", failure=type(error).__name__)
        stop_gone(app)
        try:
            await app[ACCOUNTS].bank.tidy()
        except Exception as error:  # noqa: BLE001  # as above
            failed("budgets", error)


def keys_of(storage: Storage) -> Known:
    """The keys in the database of a configuration, whether it is open or not."""
    return stored.known_at(storage.where) if storage.enabled else NOTHING


async def refresh(app: web.Application) -> None:
    """Loads the keys from the store."""
    store = app[STORE]()
    before = app[ACCOUNTS].keys.known.number
    if await store.read(stored.number) != before:
        await learn(app, await store.read(stored.known), before)


async def learn(app: web.Application, known: Known, before: int) -> None:
    """before: the number of changes known when the read began. A later read that finished earlier is not overwritten."""
    ring = app[ACCOUNTS].keys
    if known.read and known is not NOTHING and known.number != before:
        learned = Learned(known) if len(known.accounts) < _MANY else await asyncio.to_thread(Learned, known)
        if ring.known.number == before or known.number > ring.known.number:  # otherwise a later read was faster
            ring.learn(learned)
        stop_gone(app)


def forget(app: web.Application, name: str) -> None:
    """A key that another replica has revoked: it is invalid here at once, even if the store cannot be read."""
    app[ACCOUNTS].keys.revoke(name, time.time())
    stop_gone(app)


def stop_gone(app: web.Application) -> None:
    """Stops the requests of keys that are no longer valid."""
    keys, now = app[ACCOUNTS].keys, time.time()
    owners = {one.owner for one in app[REGISTRY]} - {""}
    if gone := {owner for owner in owners if not keys.counts(owner, now)}:
        app[REGISTRY].stop_all("key_revoked", lambda one: one.owner in gone)


def _written(app: web.Application) -> float:
    """When a database that this process has not opened was last written; 0 if there is none."""
    storage = app[CURRENT].config.storage
    times = []
    for name in (FILE, f"{FILE}-wal"):
        with suppress(OSError):
            times.append(os.stat(os.path.join(storage.dir, name)).st_mtime)
    return max(times, default=0.0) if storage.enabled else 0.0
