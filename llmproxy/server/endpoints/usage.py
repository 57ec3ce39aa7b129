"""GET /api/usage: usage and cost by key, group, model, provider or day."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import orjson
from aiohttp import web

from llmproxy.core.errors import BadRequest

from ..context import STORE, caller, owner


async def usage(request: web.Request) -> web.Response:
    """Of everybody for an administrator, otherwise the caller's own."""
    from llmproxy.store import usage as used

    query = request.query
    by = next((one for one in used.BY if one == query.get("by", "key")), None)
    if by is None:
        raise BadRequest(f"`by` must be one of {', '.join(used.BY)}.", param="by", code="invalid_value")
    span = used.Span(_time(query.get("since"), "since", 0.0), _time(query.get("until"), "until", math.inf))
    store = request.app[STORE]()
    store.ledger.flush()
    rows = await store.read_slowly(used.usage, by, span, None if caller(request).admin else owner(request))
    body = orjson.dumps({"object": "list", "by": by, "data": rows})
    return web.Response(body=body, content_type="application/json")


def _time(given: str | None, name: str, otherwise: float) -> float:
    """A date or a time in ISO 8601; UTC by default."""
    if given is None:
        return otherwise
    try:
        time = datetime.fromisoformat(given)
    except ValueError as error:
        raise BadRequest(
            f"`{name}` must be a date or a time, as 2026-01-31.", param=name, code="invalid_value"
        ) from error
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
