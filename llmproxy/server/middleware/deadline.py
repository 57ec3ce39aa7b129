"""Time limit of a request, from header and configuration."""

from __future__ import annotations

from aiohttp import web
from multidict import istr

from llmproxy.core.errors import BadRequest

HEADER = istr("X-LLMProxy-Timeout")


def seconds(request: web.Request, limit: float) -> float:
    """The time limit of a request in seconds: X-LLMProxy-Timeout may shorten the configured one."""
    if HEADER not in request.headers:
        return limit
    try:
        seconds = float(request.headers[HEADER])
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise BadRequest(f"{HEADER} must be a number of seconds.", param=HEADER, code="invalid_header")
    return min(seconds, limit)
