"""Model lists as keys see them, built once for each change of the offered models, and once for each set of patterns."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property

import orjson
from aiohttp import web

from llmproxy.config import Key
from llmproxy.core.adapter import Model
from llmproxy.core.chat import Json
from llmproxy.routing.gateway import Gateway
from llmproxy.routing.offer import Offer
from llmproxy.routing.permits import may_use

_SETS = 8  # sets of patterns whose lists are cached: a list of 5,000 models takes 2 MB


class SeenList:
    """The models that a key with certain patterns may use, in order."""

    def __init__(self, whole: ModelList, patterns: tuple[str, ...]) -> None:
        self._whole = whole
        self._patterns = patterns

    @cached_property
    def ids(self) -> list[str]:
        return [id for id in self._whole.entries if may_use(self._patterns, id)]

    @cached_property
    def entries(self) -> list[bytes]:
        """Each model in OpenAI's form."""
        return [self._whole.written[id] for id in self.ids]

    @cached_property
    def body(self) -> bytes:
        """All models in OpenAI's form."""
        return b'{"object":"list","data":[' + b",".join(self.entries) + b"]}"

    def entry(self, id: str) -> Json:
        return self._whole.entries[id]

    def find(self, name: str) -> Json | None:
        """The entry for a name, with or without its provider."""
        named = (name, *self._whole.bare.get(name, ()))
        return next((self.entry(id) for id in named if id in self._whole.entries and may_use(self._patterns, id)), None)


class ModelList:
    """All models that one gateway lists at one time."""

    def __init__(self, gateway: Gateway, offer: Offer) -> None:
        self.entries: dict[str, Json] = {one["id"]: one for one in _entries(gateway, offer)}
        self.bare: dict[str, list[str]] = {}
        for id in self.entries:
            self.bare.setdefault(id.partition("/")[2], []).append(id)
        self.written = {id: orjson.dumps(one) for id, one in self.entries.items()}
        self._seen: OrderedDict[tuple[str, ...], SeenList] = OrderedDict()

    def seen_by(self, patterns: tuple[str, ...]) -> SeenList:
        found = self._seen.pop(patterns, None) or SeenList(self, patterns)
        self._seen[patterns] = found
        if len(self._seen) > _SETS:
            self._seen.popitem(last=False)
        return found


class ModelLists:
    """The list for the current gateway and offer. The first request builds it, outside of the event loop."""

    def __init__(self) -> None:
        self._of: tuple[Gateway, Offer, ModelList] | None = None
        self._making = asyncio.Lock()

    async def seen(self, gateway: Gateway, key: Key) -> SeenList:
        async with self._making:
            whole = await self._whole(gateway, gateway.catalog.offer)
        return whole.seen_by(("*",) if "*" in key.models else key.models)

    async def _whole(self, gateway: Gateway, offer: Offer) -> ModelList:
        if self._of is None or self._of[0] is not gateway or self._of[1] is not offer:
            self._of = gateway, offer, await asyncio.to_thread(ModelList, gateway, offer)
        return self._of[2]


MODEL_LISTS = web.AppKey("model_lists", ModelLists)


def _entries(gateway: Gateway, offer: Offer) -> Iterator[Json]:
    known = {f"{provider}/{one.id}": _known(provider, one) for provider, one in offer.models}
    for alias in gateway.config.aliases:
        about = _of_alias(gateway, alias, known)
        yield {"id": alias, "object": "model", "created": 0, "owned_by": "llmproxy", "llmproxy": about}
    for provider, one in offer.models:
        name = f"{provider}/{one.id}"
        yield _entry(name, one.owned_by or provider, one, known[name])


def _entry(name: str, owner: str, offered: Model, known: Json) -> Json:
    extra = {k: v for k, v in offered.extra.items() if k != "llmproxy"}
    return {
        **extra,
        "id": name,
        "object": "model",
        "created": offered.created,
        "owned_by": owner,
        "llmproxy": known,
    }


def _known(provider: str, offered: Model) -> Json:
    extra = offered.extra
    pricing = extra.get("pricing")
    prices = {key: _price(pricing.get(key)) for key in ("prompt", "completion")} if isinstance(pricing, dict) else None
    shared = {key: extra.get(key) for key in ("context_length", "max_output", "input", "tools", "reasoning")}
    return {"kind": "model", "provider": provider, "targets": [f"{provider}/{offered.id}"], **shared, "pricing": prices}


def _of_alias(gateway: Gateway, alias: str, known: dict[str, Json]) -> Json:
    """An alias has the abilities of the first model behind it."""
    targets = [str(target) for target in gateway.router.targets_behind(alias)]
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
