"""Endpoints for the page: information and performance."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from llmproxy import __version__
from llmproxy.config import Key, Storage
from llmproxy.core import adapter_registry
from llmproxy.core.adapter import InProcess
from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest
from llmproxy.routing.permits import permits
from llmproxy.routing.provider_stack import ProviderStack
from llmproxy.routing.router import permits_some

from ..context import ACCOUNTS, CURRENT, STORE, caller

if TYPE_CHECKING:
    from llmproxy.store import Store
    from llmproxy.store.performance import Window

_MOST = 10.0  # seconds for which figures are cached at most


async def info(request: web.Request) -> web.Response:
    """What the page needs at its start. Names only: no address, no key."""
    current = request.app[CURRENT]
    config, key, offered = current.config, caller(request), current.gateway.catalog.offer
    stacks = current.gateway.stacks.items()
    known = [_provider(name, stack, key) for name, stack in stacks if permits_some(key, name, offered)]
    missing = [
        _missing(name)
        for name in adapter_registry.names()
        if name not in {stack.provider.adapter for stack in current.gateway.stacks.values()}
    ]
    return _json(
        {
            "version": __version__,
            "providers": [*known, *(one for one in missing if one)],
            "modes": [
                {"name": mode.name, "model": _shown(mode.model or config.default_model, key)}
                for mode in config.modes.values()
            ],
            "default_model": _shown(config.default_model, key) or None,
            "needs_key": request.app[ACCOUNTS].keys.required,
            "admin": key.admin and config.storage.enabled,
            "data_dir": _place(config.storage),
        }
    )


def _place(storage: Storage) -> str | None:
    """Where threads are stored. The address of a server is not shown."""
    if not storage.enabled:
        return None
    return "PostgreSQL" if storage.url else storage.dir


def _shown(model: str, key: Key) -> str:
    """Empty for a name that the key may not use."""
    return model if permits(key, model) else ""


def _provider(name: str, stack: ProviderStack, key: Key) -> Json:
    hint = None if stack.breaker.state == "closed" else "It failed repeatedly just now and is left alone for a moment."
    if not hint and (models := [one for one in stack.breaker.left_alone if permits(key, f"{name}/{one}")]):
        hint = f"Failed repeatedly just now and left alone for a moment: {', '.join(models[:5])}."
    return {
        "name": name,
        "adapter": stack.provider.adapter,
        "ready": stack.breaker.state != "open",
        "demo": isinstance(stack.adapter, InProcess),
        "hint": hint,
    }


def _missing(adapter: str) -> Json | None:
    """A provider that only needs a key."""
    environment = adapter_registry.load(adapter).environment
    if not (environment.needs_key and environment.keys and environment.base_url):
        return None
    hint = f"Set {environment.keys[0]} and start the gateway again."
    return {"name": adapter, "adapter": adapter, "ready": False, "demo": False, "hint": hint}


async def performance(request: web.Request) -> web.Response:
    """Percentiles and sums of the last hour, day or week, from the ledger."""
    from llmproxy.store.performance import WINDOWS

    wanted = request.query.get("window", "hour")
    window = next((one for one in WINDOWS if one == wanted), None)
    if window is None:
        raise BadRequest("`window` must be hour, day or week.", param="window", code="invalid_value")
    figures, key = await request.app[FIGURES].of(request.app[STORE](), window), caller(request)
    models = [one for one in figures["models"] if key.admin or permits(key, f"{one['provider']}/{one['model']}")]
    return _json({**figures, "models": models})


class Figures:
    """Cached figures: kept ten times as long as they took to compute, and computed once for all callers."""

    def __init__(self) -> None:
        self._known: dict[tuple[Store, Window], tuple[float, Json]] = {}  # with the time at which they expire
        self._computing = asyncio.Lock()

    async def of(self, store: Store, window: Window) -> Json:
        from llmproxy.store.performance import performance as computed

        async with self._computing:
            until, figures = self._known.get((store, window), (0.0, {}))
            if (began := time.monotonic()) >= until:
                store.ledger.flush()
                figures = await store.figures(computed, window, time.time())
                now = time.monotonic()
                self._known[store, window] = now + min(_MOST, 10 * (now - began)), figures
        return figures


FIGURES = web.AppKey("figures", Figures)


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
