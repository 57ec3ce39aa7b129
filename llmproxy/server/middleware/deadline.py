"""Time limit of a request, from header and configuration."""

from __future__ import annotations

from aiohttp import web

from llmproxy.core.errors import BadRequest


def seconds(request: web.Request, limit: float) -> float:
    """How long the request may take: the client may ask for less than the operator allows, by X-LLMProxy-Timeout."""
    wanted = request.headers.get("X-LLMProxy-Timeout")
    if wanted is None:
        return limit
    try:
        asked = float(wanted)
    except ValueError:
        asked = 0.0
    if not 0 < asked < float("inf"):
        raise BadRequest(
            "X-LLMProxy-Timeout must be a number of seconds.", param="X-LLMProxy-Timeout", code="invalid_header"
        )
    return min(asked, limit)
