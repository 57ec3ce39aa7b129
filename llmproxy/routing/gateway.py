"""The gateway for one configuration: finds the providers for a model, and opens a request at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import lru_cache

from llmproxy.config import Config, Key
from llmproxy.core.adapter import speaks
from llmproxy.core.chat import Chat, Face
from llmproxy.core.errors import BadRequest, ModelNotFound
from llmproxy.core.opener import Opener, Reply
from llmproxy.resilience import FailoverOpener, Places
from llmproxy.resilience.hedging import HedgingOpener
from llmproxy.resilience.load import LoadOpener, Loads
from llmproxy.upstream.token_count import Counted

from .model_catalog import ModelCatalog, Source
from .permits import may_use, permits
from .provider_stack import Clients, ProviderStack, build_stack, places_of
from .router import Load, Route, Router, Target, allowed
from .rules import Question


@dataclass(slots=True)
class Gateway:
    """The provider side for one configuration. A new one is built when the configuration changes; running requests keep the
    old one.
    """

    config: Config
    stacks: Mapping[str, ProviderStack]
    catalog: ModelCatalog
    router: Router
    loads: Loads
    _direct: Callable[[str, tuple[str, ...], Face, bool], Route | None] = field(init=False)

    def __post_init__(self) -> None:
        self._direct = lru_cache(maxsize=1024)(self._find_direct)

    @classmethod
    def build(cls, config: Config, before: Gateway | None = None) -> Gateway:
        """before: the gateway that this one replaces; running requests keep their places in the queues of the providers."""
        clients = Clients(config.proxies)
        taken = before.places if before is not None else {}
        stacks = {one.name: build_stack(one, config, clients, taken.get(one.name)) for one in config.providers}
        for name, stack in stacks.items():  # from here on nothing can fail
            if name in taken and stack.limited is not None:
                stack.limited.places.resize(**places_of(stack.provider))
        catalog = ModelCatalog([Source(stack.provider, stack.adapter, stack.client) for stack in stacks.values()])
        loads = before.loads if before is not None else Loads()

        def load(target: Target) -> Load:
            return Load(loads.running(target), stacks[target.provider].breaker.refuses(target.model))

        return cls(config, stacks, catalog, Router(config, catalog, load=load), loads)

    @property
    def places(self) -> dict[str, Places]:
        return {name: stack.limited.places for name, stack in self.stacks.items() if stack.limited is not None}

    def route(self, chat: Chat, key: Key) -> Route:
        """The targets for a request. Raises ModelNotFound, and BadRequest if none of them supports the request."""
        route = self._direct(chat.model, key.models, chat.face, chat.dialect is not None) or self._routed(chat, key)
        chat.trace.route = route.why
        if self.router.sends_hint(chat.trace.affinity) and any(map(self._takes_hint, route.targets)):
            chat.trace.conversation = Question(chat, key.name).conversation
        return route

    def _find_direct(self, name: str, patterns: tuple[str, ...], face: Face, translates: bool) -> Route | None:
        """The route of a name `PROVIDER/MODEL`, which is the same for every request; None for another name, or if a key with
        these patterns may not use it."""
        route = self.router.direct(name)
        fits = (
            route is not None and may_use(patterns, name) and self._speaks(route.targets[0].provider, face, translates)
        )
        return route if fits else None

    def _routed(self, chat: Chat, key: Key) -> Route:
        route = self.router.route(chat, key)
        try:
            open_to = allowed(key, chat.model, route.targets)
        except ModelNotFound:  # the same error as for an unknown name
            raise self.router.not_found(chat.model, key) from None
        translates = chat.dialect is not None
        able = tuple(one for one in open_to if self._speaks(one.provider, chat.face, translates))
        if not able:
            name = open_to[0].provider
            raise BadRequest(f"{name} has no {chat.face} endpoint.", code="unsupported_endpoint", param="model")
        why = (
            route.why if permits(key, chat.model) else f"{chat.model} -> {able[0]}"
        )  # the key may not see the other names
        return Route(able, why, route.shared)

    def _takes_hint(self, target: Target) -> bool:
        return getattr(self.stacks[target.provider].adapter, "takes_hint", False) is True

    def open(self, chat: Chat, route: Route) -> AbstractAsyncContextManager[Reply]:
        """Sends the chat to its route."""
        opener = self._opener(route.targets[0], chat) if len(route.targets) == 1 else self._chain(route, chat)
        recorded, exported = self.config.limits.trace_content, self.config.telemetry.content
        if recorded or exported:
            from llmproxy.resilience.recording import RecordingOpener

            opener = RecordingOpener(opener, recorded, exported)
        return opener.open(chat.traced(chat.trace, route.targets[0].model))

    async def count(self, chat: Chat, route: Route) -> Counted | None:
        """The token count of a request, by the provider that would answer it; None if that does not count. Raises GatewayError."""
        target = route.targets[0]
        return await self.stacks[target.provider].counter.count(chat.asking(target.model))

    async def close(self) -> None:
        for client in {id(stack.client): stack.client for stack in self.stacks.values()}.values():
            await client.close()

    def _speaks(self, provider: str, face: Face, translates: bool) -> bool:
        """Whether a provider can answer this face. translates: the request can be translated to a chat."""
        spoken = speaks(self.stacks[provider].adapter)
        as_chat = face == "completions" or (translates and face != "compact")
        return face in spoken or (as_chat and "chat" in spoken)

    def _chain(self, route: Route, chat: Chat) -> Opener:
        limits = self.config.limits
        choices = [(self._opener(one, chat), one.model) for one in route.targets]
        if route.shared:
            choices = [
                (LoadOpener(opener, self.loads, one), model)
                for one, (opener, model) in zip(route.targets, choices, strict=True)
            ]
        if limits.hedge > 0:
            return HedgingOpener(choices, seconds=limits.hedge, attempts=limits.attempts)
        return FailoverOpener(choices, attempts=limits.attempts)

    def _opener(self, target: Target, chat: Chat) -> Opener:
        stack = self.stacks[target.provider]
        if chat.face == "embeddings":
            return stack.for_embeddings
        return stack.for_choices if "n" in chat.body and _many(chat) and not stack.adapter.many else stack.opener


def _many(chat: Chat) -> bool:
    wanted = chat.body.get("n")
    return isinstance(wanted, int) and wanted > 1
