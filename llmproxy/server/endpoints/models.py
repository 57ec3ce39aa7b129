"""Model lists: GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

import asyncio

import orjson
from aiohttp import web

from llmproxy.core.errors import ModelNotFound
from llmproxy.routing.gateway import Gateway

from ..context import CURRENT, caller
from .model_lists import MODEL_LISTS, SeenList

_FIRST = 2.0  # seconds
_VERSION = "anthropic-version"  # the header of Anthropic's clients


async def models(request: web.Request) -> web.Response:
    seen = await listed(request)
    if _VERSION in request.headers:
        from . import messages  # imported late: only Anthropic's clients need it

        return _json_text(messages.listed(seen, dict(request.query)))
    if "client_version" in request.query:
        # Codex asks so, and reads `models`: if it is missing, Codex uses its own list
        return _json_text(seen.body[:-1] + b',"models":[]}')
    return _json_text(seen.body)


async def model(request: web.Request) -> web.Response:
    wanted = request.match_info["id"]
    found = (await listed(request)).find(wanted)
    if found is None:
        raise ModelNotFound(f"There is no model {wanted!r}. GET /v1/models lists what there is.", param="model")
    if _VERSION in request.headers:
        from . import messages

        return _json_text(messages.one(found))
    return _json_text(orjson.dumps(found))


async def listed(request: web.Request) -> SeenList:
    """The models that the caller may use."""
    gateway = request.app[CURRENT].gateway
    await _first_lists(gateway)
    return await request.app[MODEL_LISTS].seen(gateway, caller(request))


async def _first_lists(gateway: Gateway) -> None:
    """Right after the start the lists are still being fetched: the first request waits a moment, later ones never."""
    try:
        async with asyncio.timeout(_FIRST):
            await gateway.catalog.first.wait()
    except TimeoutError:
        return


def _json_text(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
