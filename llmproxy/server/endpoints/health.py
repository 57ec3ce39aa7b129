"""Whether the process lives, and whether it wants requests."""

from __future__ import annotations

import orjson
from aiohttp import web

from ..context import ACCOUNTS, CURRENT, STORE
from ..middleware.origin import is_expected
from ..opened_store import opened


async def livez(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """503 while draining. Storage that fails and open breakers are told, but are no reason to send clients away."""
    current = request.app[CURRENT]
    if not is_expected(
        request, current.config, has_keys=request.app[ACCOUNTS].keys.required
    ):  # a probe by another name, or a foreign page
        return web.json_response(
            {"status": "ok" if current.ready else "draining"}, status=200 if current.ready else 503
        )
    breakers = {name: stack.breaker.state for name, stack in current.gateway.stacks.items()}
    status = "ok" if current.ready else "draining"
    body = orjson.dumps({"status": status, "storage": _storage(request.app), "providers": breakers})
    return web.Response(status=200 if current.ready else 503, body=body, content_type="application/json")


def _storage(app: web.Application) -> str:
    """ok, off, or failing: the log says why."""
    if not app[CURRENT].config.storage.enabled:
        return "off"
    store = opened(app[STORE])
    return "failing" if store is not None and store.fault else "ok"
