"""Model lists: GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import orjson
from aiohttp import web

from llmproxy.config import Key
from llmproxy.core.adapter import Model
from llmproxy.core.chat import Json
from llmproxy.core.errors import ModelNotFound
from llmproxy.routing.gateway import Gateway
from llmproxy.routing.router import permits

from ..context import CURRENT, caller

_FIRST = 2.0  # seconds
_VERSION = "anthropic-version"  # the header that says which form of the list is wanted


async def models(request: web.Request) -> web.Response:
    gateway = request.app[CURRENT].gateway
    await first_lists(gateway)
    entries = list(listed_entries(gateway, caller(request)))
    if _VERSION in request.headers:
        from . import messages  # only Anthropic's clients need it

        return _json_text(messages.listed(entries, dict(request.query)))
    listed: Json = {"object": "list", "data": entries}
    if (
        "client_version" in request.query
    ):  # Codex asks so, and reads `models`: nothing there means that it goes on by itself
        listed["models"] = []
    return _json(listed)


async def model(request: web.Request) -> web.Response:
    gateway = request.app[CURRENT].gateway
    await first_lists(gateway)
    wanted = request.match_info["id"]
    named = {entry["id"]: entry for entry in listed_entries(gateway, caller(request))}
    bare = (entry for id, entry in named.items() if id.partition("/")[2] == wanted)
    found = named.get(wanted) or next(bare, None)
    if found is None:
        raise ModelNotFound(f"There is no model {wanted!r}. GET /v1/models lists what there is.", param="model")
    if _VERSION in request.headers:
        from . import messages

        return _json_text(messages.one(found))
    return _json(found)


async def first_lists(gateway: Gateway) -> None:
    """Right after the start the lists are on their way: worth a moment, once. Later ones never keep anybody waiting."""
    try:
        async with asyncio.timeout(_FIRST):
            await gateway.catalog.first.wait()
    except TimeoutError:
        return


def listed_entries(gateway: Gateway, key: Key) -> Iterator[Json]:
    for alias in gateway.config.aliases:
        if permits(key, alias):
            yield {
                "id": alias,
                "object": "model",
                "created": 0,
                "owned_by": "llmproxy",
                "llmproxy": _of_alias(gateway, alias),
            }
    for provider, offered in gateway.catalog.models():
        name = f"{provider}/{offered.id}"
        if permits(key, name):
            yield _entry(name, provider, offered)


def _entry(name: str, provider: str, offered: Model) -> Json:
    extra = {k: v for k, v in offered.extra.items() if k != "llmproxy"}
    owner = offered.owned_by or provider
    return {
        **extra,
        "id": name,
        "object": "model",
        "created": offered.created,
        "owned_by": owner,
        "llmproxy": _known(provider, offered),
    }


def _known(provider: str, offered: Model) -> Json:
    extra = offered.extra
    pricing = extra.get("pricing")
    prices = {key: _price(pricing.get(key)) for key in ("prompt", "completion")} if isinstance(pricing, dict) else None
    shared = {key: extra.get(key) for key in ("context_length", "max_output", "input", "tools", "reasoning")}
    return {"kind": "model", "provider": provider, "targets": [f"{provider}/{offered.id}"], **shared, "pricing": prices}


def _of_alias(gateway: Gateway, alias: str) -> Json:
    """An alias can do what the first model behind it can."""
    targets = [str(target) for target in gateway.router.targets_behind(alias)]
    known = {f"{provider}/{offered.id}": _known(provider, offered) for provider, offered in gateway.catalog.models()}
    first = known.get(targets[0], {}) if targets else {}
    blank = dict.fromkeys(("context_length", "max_output", "input", "tools", "reasoning", "pricing"))
    return {
        **blank,
        **first,
        "kind": "pattern" if "*" in alias else "alias",
        "provider": targets[0].partition("/")[0] if targets else None,
        "targets": targets,
    }


def _price(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]  # OpenRouter writes decimals as strings
    except (TypeError, ValueError):
        return None


def _json(value: object) -> web.Response:
    return _json_text(orjson.dumps(value))


def _json_text(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
