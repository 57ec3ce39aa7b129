"""Liveness and readiness."""

from __future__ import annotations

import orjson
from aiohttp import web

from llmproxy.core.chat import Json

from ..context import ACCOUNTS, CURRENT, STORE
from ..middleware.origin import is_expected
from ..opened_store import problem


async def livez(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """503 while shutting down. Failing storage and open breakers are reported, but do not change the status."""
    current = request.app[CURRENT]
    status: Json = {"status": "ok" if current.ready else "draining"}
    has_keys = request.app[ACCOUNTS].keys.required
    if is_expected(request, current.config, has_keys=has_keys):  # not for a probe by another name or a foreign page
        status["storage"] = _storage(request.app)
        status["providers"] = {name: stack.breaker.state for name, stack in current.gateway.stacks.items()}
    return web.Response(
        status=200 if current.ready else 503, body=orjson.dumps(status), content_type="application/json"
    )


def _storage(app: web.Application) -> str:
    """ok, off, or failing; the log has the reason."""
    if not app[CURRENT].config.storage.enabled:
        return "off"
    return "failing" if problem(app[STORE]) else "ok"
