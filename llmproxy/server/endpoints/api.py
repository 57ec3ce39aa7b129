"""What the page asks beside chatting: what there is, and how it is doing."""

from __future__ import annotations

import time

import orjson
from aiohttp import web

from llmproxy import __version__
from llmproxy.core import adapter_registry
from llmproxy.core.adapter import InProcess
from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest
from llmproxy.routing.gateway import ProviderStack

from ..context import ACCOUNTS, CURRENT, STORE


async def info(request: web.Request) -> web.Response:
    """What the page must know before it can ask anything. Names only: no address, no key."""
    current = request.app[CURRENT]
    config = current.config
    known = [_provider(name, stack) for name, stack in current.gateway.stacks.items()]
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
                {"name": mode.name, "model": mode.model or config.default_model} for mode in config.modes.values()
            ],
            "default_model": config.default_model or None,
            "needs_key": request.app[ACCOUNTS].keys.required,
            "data_dir": config.storage.dir if config.storage.enabled else None,
        }
    )


def _provider(name: str, stack: ProviderStack) -> Json:
    hint = None if stack.breaker.state == "closed" else "It failed repeatedly just now and is left alone for a moment."
    if not hint and (models := stack.breaker.left_alone):
        hint = f"Failed repeatedly just now and left alone for a moment: {', '.join(models[:5])}."
    return {
        "name": name,
        "adapter": stack.provider.adapter,
        "ready": stack.breaker.state != "open",
        "demo": isinstance(stack.adapter, InProcess),
        "hint": hint,
    }


def _missing(adapter: str) -> Json | None:
    """A provider that is only waiting for a key."""
    environment = adapter_registry.load(adapter).environment
    if not (environment.needs_key and environment.keys and environment.base_url):
        return None
    hint = f"Set {environment.keys[0]} and start the gateway again."
    return {"name": adapter, "adapter": adapter, "ready": False, "demo": False, "hint": hint}


async def performance(request: web.Request) -> web.Response:
    """Percentiles and sums of the last hour, day or week, from the ledger."""
    from llmproxy.store.performance import WINDOWS
    from llmproxy.store.performance import performance as computed

    wanted = request.query.get("window", "hour")
    window = next((one for one in WINDOWS if one == wanted), None)
    if window is None:
        raise BadRequest("`window` must be hour, day or week.", param="window", code="invalid_value")
    store = request.app[STORE]()
    store.ledger.flush()
    return _json(await store.read_slowly(computed, window, time.time()))


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
