"""The aiohttp application: routes, middleware, and shared objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web

from llmproxy.accounts.accounts import Accounts
from llmproxy.accounts.bank import Bank
from llmproxy.accounts.keys import Keyring
from llmproxy.config import Config
from llmproxy.dialects.responses.state import ResponseStore
from llmproxy.requests.registry import RequestRegistry
from llmproxy.routing.gateway import Gateway

from .account_watch import keys_of
from .context import (
    ACCOUNTS,
    ANSWERS,
    AUTH_THROTTLE,
    CURRENT,
    LOAD_SHEDDING,
    OBSERVER,
    PEERS,
    REGISTRY,
    RESPONSE_FILES,
    RESPONSES,
    STORE,
    TURNS,
    UPLOADS,
    Current,
)
from .endpoints.api import FIGURES, Figures
from .endpoints.model_lists import MODEL_LISTS, ModelLists
from .middleware import routes
from .middleware.auth_throttle import AuthThrottle
from .middleware.gate import middleware
from .middleware.headers import before_sending
from .middleware.load_shedding import LoadShedding
from .middleware.turns import Turns
from .middleware.uploads import Uploads
from .observers import Observer
from .pricing import pricing_of
from .routes import API, PAGE, PROBES
from .sharing import close as close_answers
from .sharing import shared_answers
from .webhook import post

if TYPE_CHECKING:
    from llmproxy.cluster.peers import Peers
    from llmproxy.store import Store

_SMALL = 1024 * 1024  # bytes of a body that is forwarded to another worker; other bodies are read by middleware/body.py


def build(config: Config, gateway: Gateway, store: Callable[[], Store], peers: Peers | None = None) -> web.Application:
    """Builds everything except the sockets."""
    app = web.Application(client_max_size=_SMALL)
    observer = Observer(store if config.storage.enabled else None)
    registry = RequestRegistry(remembered=config.limits.remembered, ended=observer.ended)
    observer.registry = registry
    if peers is not None:
        registry.name_replica(peers.own.tag)
    pricing, ring = pricing_of(gateway), Keyring(config.server.keys, keys_of(config.storage))
    accounts = app[ACCOUNTS] = Accounts(ring, pricing, Bank(store), warned=lambda pot: post(app, pot))
    accounts.configure(config, pricing)
    observer.accounts = accounts
    if config.telemetry.traces != "off" or config.telemetry.metrics:
        from .telemetry import Telemetry, reporting  # imported late: most gateways export nothing

        observer.telemetry = Telemetry(config.telemetry, observer.metrics.distributions, registry.__len__)
        app.cleanup_ctx.append(reporting)
    app[CURRENT] = Current(gateway)
    app[REGISTRY] = registry
    app[OBSERVER] = observer
    app[STORE] = store
    app[ANSWERS] = shared_answers(config, store)
    app[RESPONSES] = ResponseStore()
    app[RESPONSE_FILES] = {}
    app.on_cleanup.append(_close_files)
    app.on_cleanup.append(_close_answers)
    app[PEERS] = peers
    app[AUTH_THROTTLE] = AuthThrottle()
    app[LOAD_SHEDDING] = LoadShedding()
    app[TURNS] = Turns()
    app[UPLOADS] = Uploads()
    app[MODEL_LISTS] = ModelLists()
    app[FIGURES] = Figures()
    app.middlewares.append(middleware(app))
    app.on_response_prepare.append(before_sending(app[CURRENT]))
    routes.add(app, API + PROBES + (PAGE if config.server.page else ()))
    return app


async def _close_answers(app: web.Application) -> None:
    await close_answers(app[ANSWERS])


async def _close_files(app: web.Application) -> None:
    for file in app[RESPONSE_FILES].values():
        file.close()
