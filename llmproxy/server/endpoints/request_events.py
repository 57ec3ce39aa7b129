"""One connection for the events of many requests."""

from __future__ import annotations

from aiohttp import web

from llmproxy.core.errors import BadRequest

from ..streaming.multiplex import multiplex
from ..streaming.replay import is_live
from ..streaming.tapes import number

_MOST = 32  # requests on one connection


async def events(request: web.Request) -> web.StreamResponse:
    """`?follow=ID:FROM,ID:FROM`: of each request the events after FROM. Those of others are as unknown as none."""
    return await multiplex(request, _follows(request), is_live(request))


def _follows(request: web.Request) -> dict[str, int]:
    """Which requests are followed, after which event of each. `Last-Event-ID` is one of these, and newer."""
    said = [one for one in request.query.get("follow", "").split(",") if one]
    if not 0 < len(said) <= _MOST:
        raise BadRequest(f"follow names 1 to {_MOST} requests, as ID:FROM,ID:FROM.", param="follow")
    follows = dict(_follow(one, "follow") for one in said)
    last = request.headers.get("Last-Event-ID")
    if last:
        id, after = _follow(last, "Last-Event-ID")
        if id in follows:
            follows[id] = max(after, follows[id])
    return follows


def _follow(said: str, param: str) -> tuple[str, int]:
    id, _, after = said.partition(":")
    return id, number(after or "0", param)
