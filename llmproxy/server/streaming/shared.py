"""Decides where an answer comes from: the providers, or an identical request."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from llmproxy.core.chat import Chat
from llmproxy.core.opener import Opening
from llmproxy.requests.running import Running
from llmproxy.requests.shared_answers import Reading
from llmproxy.routing.gateway import Gateway
from llmproxy.routing.router import Route

from ..context import ANSWERS, OBSERVER
from ..middleware.caching import sharing


def opening(request: web.Request, chat: Chat, gateway: Gateway, route: Route) -> Opening:
    """Opens the answer. Raises BadRequest for an invalid header about sharing."""
    plan = sharing(request, chat, route, gateway.config.cache)
    if plan is None:
        return gateway.open(chat, route)
    return request.app[ANSWERS].open(plan, chat, lambda chat: gateway.open(chat, route))


def settle_late(request: web.Request, running: Running, opened: Opening) -> None:
    """Adds the later cost of a shared answer to the request that began it, which may have ended."""
    if type(opened) is Reading:
        opened.after = partial(request.app[OBSERVER].amended, running, running.charge)
