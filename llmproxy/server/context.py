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
    from .middleware.turns import Turns


@dataclass(slots=True)
class Current:
    """The gateway of now: a new config replaces it, whole."""

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
RESPONSE_FILES: web.AppKey[dict[str, ResponseFile]] = web.AppKey("response_files")  # by their folders
RESPONSES: web.AppKey[ResponseStore] = web.AppKey("responses")
AUTH_THROTTLE: web.AppKey[AuthThrottle] = web.AppKey("guesses")
LOAD_SHEDDING: web.AppKey[LoadShedding] = web.AppKey("pressure")
TURNS: web.AppKey[Turns] = web.AppKey("turns")
PEERS: web.AppKey[Peers | None] = web.AppKey("peers")  # the other workers and machines, if there are any

CALLER = web.RequestKey("caller", Key)
BODY_BYTES = web.RequestKey("body_bytes", int)
SMALL_BODY = web.RequestKey("small_body", bytes)  # that was read, for whoever passes the request on
REQUEST_ID = web.RequestKey("request_id", str)
STARTED = web.RequestKey("started", bool)  # it has a task of its own, which tells its end
TRACE = web.RequestKey("trace", Trace)

ANYBODY = Key(name="", secret="", admin=True)  # the caller where no keys are configured


def caller(request: web.Request) -> Key:
    """Whose key the request came with."""
    return request[CALLER]


def owner(request: web.Request) -> str:
    """To whom a request and a thread belong."""
    return caller(request).name
