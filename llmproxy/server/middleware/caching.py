"""Whether a request shares its answer with others that are the same, as its client and the configuration say."""

from __future__ import annotations

from aiohttp import web

from llmproxy.core.chat import Chat
from llmproxy.core.errors import BadRequest
from llmproxy.requests.sameness import Plan, Wish, plan, wish
from llmproxy.routing.router import Route

from ..context import CURRENT, caller

HEADER = "X-LLMProxy-Cache"


def sharing(request: web.Request, chat: Chat, route: Route) -> Plan | None:
    """None for a request that is answered by itself. Raises BadRequest for a wish that there is not."""
    settings = request.app[CURRENT].config.cache
    if HEADER not in request.headers and not settings.models:
        return None
    everybody = settings.shared
    return plan(chat, _wish(request), settings.models, None if everybody else caller(request).name, route.targets)


def _wish(request: web.Request) -> Wish:
    said = request.headers.get(HEADER)
    if said not in (None, "on", "off"):
        raise BadRequest(f"{HEADER} is on or off.", param=HEADER, code="invalid_header")
    return wish(said, request.headers.get("Cache-Control", ""))
