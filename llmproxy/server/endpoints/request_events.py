"""One connection for the events of many requests."""

from __future__ import annotations

from aiohttp import web

from llmproxy.core.errors import BadRequest

from ..streaming.multiplex import multiplex
from ..streaming.replay import is_live
from ..streaming.tapes import number
from .lost import refuse_lost

_MOST = 32  # requests on one connection


async def events(request: web.Request) -> web.StreamResponse:
    """`?follow=ID:FROM,ID:FROM`: the events after FROM of each request. Other owners' requests are answered like unknown ones."""
    return await multiplex(request, _follows(request), is_live(request), refuse_lost)


def _follows(request: web.Request) -> dict[str, int]:
    """The requests to follow, and the last event seen of each. `Last-Event-ID` has the same form, and is newer."""
    items = [one for one in request.query.get("follow", "").split(",") if one]
    if not 0 < len(items) <= _MOST:
        raise BadRequest(f"follow names 1 to {_MOST} requests, as ID:FROM,ID:FROM.", param="follow")
    follows = dict(_follow(one, "follow") for one in items)
    last = request.headers.get("Last-Event-ID")
    if last:
        id, after = _follow(last, "Last-Event-ID")
        if id in follows:
            follows[id] = max(after, follows[id])
    return follows


def _follow(item: str, param: str) -> tuple[str, int]:
    id, _, after = item.partition(":")
    return id, number(after or "0", param)
