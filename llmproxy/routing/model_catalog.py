"""Model catalogue: refreshes each provider's model list in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from llmproxy.config import Provider
from llmproxy.core import hops
from llmproxy.core.adapter import Adapter, KnowsModels, ListsModels, Model
from llmproxy.core.errors import UpstreamError
from llmproxy.observe.log import log
from llmproxy.observe.periodic import failed
from llmproxy.upstream.http import Client
from llmproxy.wire.nesting import cut

from .offer import Offer

_EVERY = 600.0  # seconds
_SOON = 15.0  # after a failure
_LIMIT = 32 * 1024 * 1024
_PAGES = 50
_LARGE = 256 * 1024


@dataclass(slots=True)
class Source:
    """The model list of one provider."""

    provider: Provider
    adapter: Adapter
    client: Client
    listed: Sequence[Model] = ()
    error: str | None = None
    asked: bool = False  # whether its list was requested at least once

    @property
    def unlisted(self) -> bool:
        """Whether it may have models that are not in our list."""
        return isinstance(self.adapter, ListsModels) and (not self.asked or self.error is not None)


@dataclass(slots=True)
class ModelCatalog:
    """The models of each provider as of the last refresh, always including configured and well-known ones."""

    sources: Sequence[Source]
    first: asyncio.Event = field(default_factory=asyncio.Event)
    _offer: Offer | None = None  # of the current lists; None after one has changed

    @property
    def offer(self) -> Offer:
        """All models, in the order of the configuration, each once. The same object until a list changes."""
        if self._offer is None:
            self._offer = Offer((one.provider.name, model) for one in self.sources for model in _all(one))
        return self._offer

    def serves(self, model: str) -> Sequence[str]:
        """The names of the providers that offer a model of this name.

        If none does, and the list of exactly one provider is unavailable, it is that provider.
        """
        if found := self.offer.serves(model):
            return found
        unknown = [one.provider.name for one in self.sources if one.unlisted]
        return unknown if len(unknown) == 1 else []

    async def keep_fresh(self) -> None:
        """Runs until cancelled: requests every provider's list periodically, and sooner after a failure."""
        await asyncio.gather(*(self._keep_fresh(source) for source in self.sources))

    async def _keep_fresh(self, source: Source) -> None:
        while True:
            try:
                await self._refresh(source)
            except Exception as error:  # noqa: BLE001  # an adapter's mistake about one list must not end all lists
                failed("model_lists", error)
                source.error, source.asked = "The list could not be read.", True
            if all(one.asked for one in self.sources):
                self.first.set()
            await asyncio.sleep(_SOON if source.error else _EVERY)

    async def _refresh(self, source: Source) -> None:
        if not source.provider.list_models or not isinstance(source.adapter, ListsModels):
            source.asked = True
            return
        try:
            listed = await fetch(source)
            source.error = None
            if listed != source.listed:
                source.listed, self._offer = listed, None
        except UpstreamError as error:
            if source.error is None:  # logged once, not at every attempt
                log.warning(
                    "models_unavailable",
                    provider=source.provider.name,
                    status=error.status,
                    code=error.code,
                    message=error.message,
                )
            source.error = error.message
        source.asked = True


async def fetch(source: Source) -> list[Model]:
    """All pages of a provider's list. Raises UpstreamError."""
    adapter = source.adapter
    assert isinstance(adapter, ListsModels)
    found: list[Model] = []
    page: str | None = None
    for _ in range(_PAGES):
        asking = adapter.models_request(page)
        try:
            async with (
                asyncio.timeout(15),
                source.client.send(asking, connect=source.provider.timeouts.connect, more=hops.headers()) as incoming,
            ):
                body = await incoming.read(_LIMIT)
                if incoming.status != 200:
                    raise source.adapter.error(incoming.status, incoming.headers, body)
        except TimeoutError as error:
            raise UpstreamError("The provider did not list its models in time.", code="upstream_timeout") from error
        beside = len(body) > _LARGE  # too long for the event loop
        models, page = await asyncio.to_thread(_read, adapter, body) if beside else _read(adapter, body)
        found.extend(models)
        if page is None:
            break
    return found


def _read(adapter: ListsModels, body: bytes) -> tuple[list[Model], str | None]:
    models, page = adapter.models(body)
    return [
        replace(one, extra=cut(dict(one.extra))) for one in models
    ], page  # without parts that we could not write again


def _all(source: Source) -> list[Model]:
    known: Mapping[str, Model] = (
        {one.id: one for one in source.adapter.known_models} if isinstance(source.adapter, KnowsModels) else {}
    )
    configured = {name: known.get(name, Model(name, owned_by=source.provider.name)) for name in source.provider.models}
    listed = {one.id: one for one in source.listed}
    return list({**known, **configured, **listed}.values())
