"""Whether a request shares its answer with others that are the same, as its client and the configuration say."""

from __future__ import annotations

from aiohttp import web
from multidict import istr

from llmproxy.config import Cache
from llmproxy.core.chat import Chat
from llmproxy.core.errors import BadRequest
from llmproxy.requests.sameness import CacheOptions, Plan, cache_options, plan
from llmproxy.routing.router import Route

from ..context import caller

HEADER = istr("X-LLMProxy-Cache")


def sharing(request: web.Request, chat: Chat, route: Route, settings: Cache) -> Plan | None:
    """How a request shares its answer; None if it does not. Raises BadRequest for an invalid header."""
    if HEADER not in request.headers and not settings.models:
        return None
    everybody = settings.shared
    return plan(chat, _options(request), settings.models, None if everybody else caller(request).name, route.targets)


def _options(request: web.Request) -> CacheOptions:
    value = request.headers.get(HEADER)
    if value not in (None, "on", "off"):
        raise BadRequest(f"{HEADER} is on or off.", param=HEADER, code="invalid_header")
    return cache_options(value, request.headers.get("Cache-Control", ""))
