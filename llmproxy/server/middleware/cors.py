"""Pages of other origins that the config allows: their preflights answered, their answers marked as theirs to read."""

from __future__ import annotations

from aiohttp import web

from ..context import CURRENT

_ASKS = "Access-Control-Request-Method"
_TAKEN = (
    "Authorization",
    "Content-Type",
    "Last-Event-ID",
    "X-Request-ID",
    "X-LLMProxy-Timeout",
    "X-LLMProxy-On-Disconnect",
)
_ALLOWED = {
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": ", ".join(_TAKEN),
    "Access-Control-Max-Age": "600",
}
_TOLD = ("Provider", "Model", "Attempts", "Route", "Dropped-Params")
_EXPOSED = ", ".join(("X-Request-ID", "Retry-After", "X-Should-Retry", *(f"X-LLMProxy-{name}" for name in _TOLD)))


def is_preflight(request: web.Request) -> bool:
    return request.method == "OPTIONS" and _ASKS in request.headers


def preflight() -> web.Response:
    """The gate has already refused origins that are not allowed."""
    return web.Response(status=204, headers=_ALLOWED)


async def mark(request: web.Request, response: web.StreamResponse) -> None:
    """Signal before an answer's head goes out."""
    origin = request.headers.get("Origin")
    allowed = request.app[CURRENT].config.server.allowed_origins
    if origin is not None and (origin in allowed or "*" in allowed):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        response.headers.add("Vary", "Origin")
