"""Table of routes as the gate reads it: access class, and whether a request counts. Finds the route of a request."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from aiohttp import hdrs, web

from llmproxy.config import Dialects
from llmproxy.core.dialect import Dialect
from llmproxy.dialects import find

from ..context import INTAKE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Access = Literal["open", "key"]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    access: `open` to everybody, or only with a `key` if keys are configured. counts: it calls a model, so it counts for
    `max_in_flight`, and is refused under overload. always: answered even above the connection limit. dialect: the form of
    its errors. peers: other replicas may call it for their clients. lost: answers for a request whose process has ended;
    returns None if the store does not know the request either.
    """

    method: str
    path: str
    handler: Handler
    access: Access = "key"
    counts: bool = False
    always: bool = False
    dialect: str = "chat_completions"
    peers: bool = False
    lost: Callable[[web.Request], Awaitable[web.StreamResponse | None]] | None = None


Gate = Callable[[web.Request, Route, Handler], Awaitable[web.StreamResponse]]
ROUTES: web.AppKey[Mapping[web.AbstractRoute, Route]] = web.AppKey("routes")


async def _nothing(request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


CLOSED = Route("*", "", _nothing)  # an unknown path needs a key too, even for its 404
_CLOSED_MESSAGES = replace(CLOSED, dialect="messages")
_OF_MESSAGES = re.compile(r"(?:/v1){0,2}/messages(?:/|$)")


def add(app: web.Application, routes: Iterable[Route]) -> None:
    """Adds the routes of the table to the application."""
    app[ROUTES] = {app.router.add_route(one.method, one.path, one.handler): one for one in routes}


def dialect_of(request: web.Request) -> Dialect | None:
    """The client's dialect; None for OpenAI's chat and the native API."""
    return find(request[INTAKE].route.dialect)


def refuse_switched_off(route: Route, dialects: Dialects) -> None:
    """Raises HTTPNotFound for a route of a dialect that is switched off in the configuration."""
    if getattr(dialects, route.dialect, True) is False:
        raise web.HTTPNotFound


def met(request: web.Request, app: web.Application) -> Route:
    """The line of the table that a request meets. The gate notes it; from then on `route_of` knows it.

    For a wrong path or method, the path says in which form its client reads errors.
    """
    route = app[ROUTES].get(request.match_info.route)
    if route is not None:
        return route
    return _CLOSED_MESSAGES if _OF_MESSAGES.match(request.path) else CLOSED


def route_of(request: web.Request) -> Route:
    """The route that `match_route` found."""
    return request[INTAKE].route


class Front:
    """Finds the route of a path without variables by one look-up; the application's router finds all others.

    Both call the same gate. It replaces the handler of aiohttp's server.
    """

    def __init__(self, app: web.Application, gate: Gate) -> None:
        self._app = app
        self._gate = gate
        self._plain = {
            (line.method, line.path): (line, _match(app, route))
            for route, line in app[ROUTES].items()
            if "{" not in line.path and line.method != "*"
        }

    def handle(self, request: Any) -> Awaitable[web.StreamResponse]:
        found = self._plain.get((request.method, request.raw_path))
        if found is None or hdrs.EXPECT in request.headers:
            return self._app._handle(request)
        route, request._match_info = found
        return self._gate(request, route, route.handler)


def _match(app: web.Application, route: web.AbstractRoute) -> web.UrlMappingMatchInfo:
    """The match of a path without variables, which is always the same."""
    match = web.UrlMappingMatchInfo({}, route)
    match.add_app(app)
    match.freeze()
    match.current_app = app
    return match
