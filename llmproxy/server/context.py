"""Typed keys of the objects that handlers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from llmproxy.accounts.accounts import Accounts
from llmproxy.config import Config, Key
from llmproxy.core.trace import Trace
from llmproxy.requests.registry import RequestRegistry
from llmproxy.routing.gateway import Gateway

from .observers import Observer

if TYPE_CHECKING:
    from llmproxy.cluster.peers import Peers
    from llmproxy.dialects.responses.state import ResponseStore
    from llmproxy.requests.shared_answers import SharedAnswers
    from llmproxy.store import Store
    from llmproxy.store.responses import ResponseFile

    from .middleware.auth_throttle import AuthThrottle
    from .middleware.load_shedding import LoadShedding
    from .middleware.routes import Route
    from .middleware.turns import Turns
    from .middleware.uploads import Uploads


@dataclass(slots=True)
class Current:
    """The current gateway; a new configuration replaces it as a whole."""

    gateway: Gateway
    ready: bool = True  # false while draining

    @property
    def config(self) -> Config:
        return self.gateway.config


CURRENT = web.AppKey("current", Current)
REGISTRY = web.AppKey("registry", RequestRegistry)
OBSERVER = web.AppKey("observer", Observer)
STORE: web.AppKey[Callable[[], Store]] = web.AppKey("store", Callable)  # type: ignore[arg-type]  # opened at the first call

ANSWERS: web.AppKey[SharedAnswers] = web.AppKey("answers")
ACCOUNTS = web.AppKey("accounts", Accounts)
RESPONSE_FILES: web.AppKey[dict[str, ResponseFile]] = web.AppKey("response_files")  # by folder
RESPONSES: web.AppKey[ResponseStore] = web.AppKey("responses")
AUTH_THROTTLE: web.AppKey[AuthThrottle] = web.AppKey("guesses")
LOAD_SHEDDING: web.AppKey[LoadShedding] = web.AppKey("pressure")
UPLOADS: web.AppKey[Uploads] = web.AppKey("uploads")
TURNS: web.AppKey[Turns] = web.AppKey("turns")
PEERS: web.AppKey[Peers | None] = web.AppKey("peers")  # the other workers and machines, if there are any

ANYBODY = Key(name="", secret="", admin=True)  # the caller if no keys are configured
NOBODY = Key(name="", secret="", models=())  # the caller of what is open, where keys are configured


@dataclass(slots=True)
class Shared:
    """The objects that every request of a model needs, found once for all requests."""

    current: Current
    registry: RequestRegistry
    accounts: Accounts
    observer: Observer

    @classmethod
    def of(cls, app: web.Application) -> Shared:
        return cls(app[CURRENT], app[REGISTRY], app[ACCOUNTS], app[OBSERVER])


@dataclass(slots=True)
class Intake:
    """What the gateway knows of a request that has come in, in one object: aiohttp's store costs two calls for each member.

    route: the line of the table that it meets. trace: once its body was read. small_body: a body that was already read,
    for forwarding. started: it has a task, which reports its end.
    """

    shared: Shared
    route: Route
    id: str
    key: Key = NOBODY
    trace: Trace | None = None
    body_bytes: int | None = None
    small_body: bytes | None = None
    started: bool = False


INTAKE = web.RequestKey("intake", Intake)


def caller(request: web.Request) -> Key:
    """The key of the request."""
    return request[INTAKE].key


def owner(request: web.Request) -> str:
    """The owner of a request or a thread."""
    return request[INTAKE].key.name
