"""The application: routes by face, one gate in front, and what all of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web

from llmproxy.config import Config
from llmproxy.observe.request_log import Observer
from llmproxy.requests.registry import Inflight
from llmproxy.routing.gateway import Gateway

from .context import CURRENT, GUESSES, INFLIGHT, OBSERVER, PEERS, PRESSURE, STORE, Current
from .endpoints import api, health, metrics, native, openai, page, requests, threads
from .middleware import cors
from .middleware.auth_throttle import Guesses
from .middleware.gate import gate
from .middleware.peers import Peers
from .process.listener import sign
from .process.load_monitor import Pressure

if TYPE_CHECKING:
    from llmproxy.store import Store


def build(config: Config, gateway: Gateway, store: Callable[[], Store], peers: Peers | None = None) -> web.Application:
    """Everything but the sockets."""
    app = web.Application(middlewares=[gate], client_max_size=config.server.max_body)
    app.on_response_prepare.append(sign)
    observer = Observer(store if config.storage.enabled else None)
    inflight = Inflight(remembered=config.limits.remembered, ended=observer.ended)
    observer.inflight = inflight
    if config.server.allowed_origins:
        app.on_response_prepare.append(cors.mark)
    app[CURRENT] = Current(gateway)
    app[INFLIGHT] = inflight
    app[OBSERVER] = observer
    app[STORE] = store
    app[PEERS] = peers
    app[GUESSES] = Guesses()
    app[PRESSURE] = Pressure()
    for face in (openai, native, threads, requests, health, api, metrics):
        app.add_routes(face.routes())
    if config.server.page:
        app.add_routes(page.routes())
    return app
