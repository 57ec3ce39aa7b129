"""Where a request's answer comes from: its providers, or another request that is the same."""

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
    """Raises BadRequest for a wish about sharing that there is not."""
    plan = sharing(request, chat, route)
    if plan is None:
        return gateway.open(chat, route)
    return request.app[ANSWERS].open(plan, chat, lambda chat: gateway.open(chat, route))


def settle_late(request: web.Request, running: Running, opened: Opening) -> None:
    """What a shared answer costs after the request that began it has left is still that request's."""
    if isinstance(opened, Reading):
        opened.after = partial(request.app[OBSERVER].amended, running, running.charge)
