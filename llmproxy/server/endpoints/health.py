"""Whether the process lives, and whether it wants requests."""

from __future__ import annotations

import orjson
from aiohttp import web

from ..context import CURRENT


async def livez(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """503 while draining. A provider's open breaker is told but is no reason to send clients away: others may answer."""
    current = request.app[CURRENT]
    breakers = {name: stack.breaker.state for name, stack in current.gateway.stacks.items()}
    status = "ok" if current.ready else "draining"
    body = orjson.dumps({"status": status, "providers": breakers})
    return web.Response(status=200 if current.ready else 503, body=body, content_type="application/json")
