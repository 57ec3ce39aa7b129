"""Which stores are configured and available, and the consequences of `[degraded]` for those that are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from aiohttp import web

from .context import ACCOUNTS, CURRENT, STORE
from .opened_store import problem

StoreName = Literal["redis", "database"]


class Consequence(NamedTuple):
    """holds: whether it applies now, because the store does not answer."""

    store: StoreName
    consequence: str
    mode: str
    holds: bool


def stores_up(app: web.Application) -> dict[StoreName, bool]:
    """The configured stores, and whether each is available."""
    config = app[CURRENT].config
    found: dict[StoreName, bool] = {}
    if config.cluster.redis:
        found["redis"] = (together := app[ACCOUNTS].together) is not None and together.is_there
    if config.storage.enabled:
        found["database"] = not problem(app[STORE])
    return found


def consequences(app: web.Application) -> Iterator[Consequence]:
    """One for each store and what depends on it."""
    config = app[CURRENT].config
    chosen = config.degraded
    table: dict[StoreName, dict[str, str]] = {
        "redis": {"rates": chosen.rates},
        "database": {"budgets": chosen.budgets, "threads": chosen.threads},
    }
    if config.cache.store != "memory":
        table["redis" if config.cache.store == "redis" else "database"]["cache"] = "miss"
    for store, up in stores_up(app).items():
        for consequence, mode in table[store].items():
            yield Consequence(store, consequence, mode, not up)
