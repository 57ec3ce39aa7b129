"""Properties of a route before its handler runs: access class, and whether it counts as a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from llmproxy.config import Dialects
from llmproxy.core.dialect import Dialect
from llmproxy.dialects import find

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Access = Literal["open", "key"]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    access: `open` to everybody, or to those with a `key`, where keys are configured. counts: it asks a model, and so
    counts for `max_in_flight` and is refused where the process is overloaded. always: answered however many connections
    are open. dialect: the form in which errors are told. peers: other replicas may ask it on behalf of their callers.
    """

    method: str
    path: str
    handler: Handler
    access: Access = "key"
    counts: bool = False
    always: bool = False
    dialect: str = "chat_completions"
    peers: bool = False


ROUTES: web.AppKey[Mapping[web.AbstractRoute, Route]] = web.AppKey("routes")


async def _nothing(request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


CLOSED = Route("*", "", _nothing)  # what is not in the table needs a key, even to learn that it is not there


def add(app: web.Application, routes: Iterable[Route]) -> None:
    """Makes the application serve the table."""
    app[ROUTES] = {app.router.add_route(one.method, one.path, one.handler): one for one in routes}


def dialect_of(request: web.Request) -> Dialect | None:
    """The client's dialect; None where that is OpenAI's chat or the gateway's own."""
    return find(route_of(request).dialect)


def refuse_switched_off(request: web.Request, dialects: Dialects) -> None:
    """Raises HTTPNotFound for a route of a dialect that the config switches off."""
    if getattr(dialects, route_of(request).dialect, True) is False:
        raise web.HTTPNotFound


def route_of(request: web.Request) -> Route:
    """The line of the table that a request meets."""
    return request.app[ROUTES].get(request.match_info.route, CLOSED)
