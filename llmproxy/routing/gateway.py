"""Builds the stack of each configured provider (retry, circuit breaker, concurrency limit), and routes models to it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from llmproxy.config import Config, ConfigError, Key, Provider
from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Account, Adapter, TakesFew, speaks
from llmproxy.core.chat import Chat
from llmproxy.core.errors import BadRequest, ModelNotFound
from llmproxy.core.opener import Opener, Reply
from llmproxy.resilience import (
    BreakerOpener,
    Breakers,
    ConcurrencyOpener,
    FailoverOpener,
    Places,
    RetryBudget,
    RetryOpener,
)
from llmproxy.resilience.choices import ChoicesOpener
from llmproxy.resilience.embedding_batches import BatchingOpener
from llmproxy.resilience.hedging import HedgingOpener
from llmproxy.resilience.load import LoadOpener, Loads
from llmproxy.upstream.exchange import Upstream
from llmproxy.upstream.http import Client
from llmproxy.upstream.token_count import Counted, TokenCounter

from .model_catalog import ModelCatalog, Source
from .permits import permits
from .router import Load, Route, Router, Target, allowed
from .rules import Question


@dataclass(slots=True)
class ProviderStack:
    """One provider with everything that is wrapped around it."""

    provider: Provider
    adapter: Adapter
    client: Client
    opener: Opener
    fanned: Opener
    batched: Opener  # for embeddings
    breaker: Breakers
    budget: RetryBudget
    counter: TokenCounter
    limited: ConcurrencyOpener | None = None


@dataclass(slots=True)
class Gateway:
    """What a config says, ready to be asked. Built anew when the config changes; requests in flight keep the old one."""

    config: Config
    stacks: Mapping[str, ProviderStack]
    catalog: ModelCatalog
    router: Router
    loads: Loads

    @classmethod
    def build(cls, config: Config, before: Gateway | None = None) -> Gateway:
        """`before`: the gateway that this one replaces, whose requests keep their places with their providers."""
        clients = _Clients(config.proxies)
        taken = before.places if before is not None else {}
        stacks = {one.name: _room(one, config, clients, taken.get(one.name)) for one in config.providers}
        for name, stack in stacks.items():  # only now that nothing can fail any more
            if name in taken and stack.limited is not None:
                stack.limited.places.resize(**_places(stack.provider))
        catalog = ModelCatalog([Source(stack.provider, stack.adapter, stack.client) for stack in stacks.values()])
        loads = before.loads if before is not None else Loads()

        def load(target: Target) -> Load:
            return Load(loads.running(target), stacks[target.provider].breaker.refuses(target.model))

        return cls(config, stacks, catalog, Router(config, catalog, load=load), loads)

    @property
    def places(self) -> dict[str, Places]:
        return {name: stack.limited.places for name, stack in self.stacks.items() if stack.limited is not None}

    def route(self, chat: Chat, key: Key) -> Route:
        """Who is to answer. Raises ModelNotFound, and BadRequest if none of them can do what is asked."""
        route = self.router.route(chat, key)
        try:
            open_to = allowed(key, chat.model, route.targets)
        except ModelNotFound:  # in the words of what does not exist
            raise self.router.not_found(chat.model, key) from None
        able = tuple(one for one in open_to if self._speaks(one.provider, chat))
        if not able:
            name = open_to[0].provider
            raise BadRequest(f"{name} has no {chat.face} endpoint.", code="unsupported_endpoint", param="model")
        why = route.why if permits(key, chat.model) else f"{chat.model} -> {able[0]}"  # others' names are not told
        chat.trace.route = why
        if any(getattr(self.stacks[one.provider].adapter, "takes_hint", False) for one in able):
            chat.trace.conversation = self._conversation(chat, key)
        return Route(able, why, route.shared)

    def _conversation(self, chat: Chat, key: Key) -> bytes | None:
        question = Question(chat, key.name)
        return question.conversation if self.router.tells_together(question) else None

    def open(self, chat: Chat, route: Route) -> AbstractAsyncContextManager[Reply]:
        """Sends the chat where its route leads."""
        opener = self._chain(route, chat)
        if self.config.limits.trace_content:
            from llmproxy.resilience.recording import RecordingOpener

            opener = RecordingOpener(opener, self.config.limits.trace_content)
        return opener.open(chat.asking(route.targets[0].model))

    async def count(self, chat: Chat, route: Route) -> Counted | None:
        """The tokens of a request, as the provider counts that would answer it; None where it does not. Raises GatewayError."""
        target = route.targets[0]
        return await self.stacks[target.provider].counter.count(chat.asking(target.model))

    async def close(self) -> None:
        for client in {id(stack.client): stack.client for stack in self.stacks.values()}.values():
            await client.close()

    def _speaks(self, provider: str, chat: Chat) -> bool:
        spoken = speaks(self.stacks[provider].adapter)
        translates = chat.face == "completions" or (chat.dialect is not None and chat.face != "compact")
        return chat.face in spoken or (translates and "chat" in spoken)

    def _chain(self, route: Route, chat: Chat) -> Opener:
        if len(route.targets) == 1:
            return self._opener(route.targets[0], chat)
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
            return stack.batched
        return stack.fanned if _many(chat) and not stack.adapter.many else stack.opener


def _many(chat: Chat) -> bool:
    wanted = chat.body.get("n")
    return isinstance(wanted, int) and wanted > 1


def _places(provider: Provider) -> dict[str, Any]:
    return {"at_once": provider.max_concurrent, "queue": provider.max_queue, "wait": provider.queue_wait}


def _room(provider: Provider, config: Config, clients: _Clients, places: Places | None) -> ProviderStack:
    account = Account(provider.name, provider.base_url, provider.api_key, provider.headers, provider.options)
    try:
        adapter = adapter_registry.build(provider.adapter, account)
    except ValueError as error:  # an option that the adapter cannot use
        raise ConfigError(f"[providers.{provider.name}] {error}") from error
    client = clients.fitting(provider)
    upstream = Upstream(adapter, client, provider.timeouts)
    opener: Opener = upstream
    limited = None
    if provider.max_concurrent is not None:
        opener = limited = ConcurrencyOpener(opener, places or Places(**_places(provider)))
    breaker = Breakers(provider.breaker, name=provider.name)
    limits = config.limits
    budget = RetryBudget(limits.retry_budget)
    retries = limits.retries if provider.retries is None else provider.retries
    retried = RetryOpener(opener, retries=retries, budget=budget, max_wait=limits.max_retry_after)
    guarded, fanned = BreakerOpener(retried, breaker), BreakerOpener(ChoicesOpener(retried), breaker)
    batched = (
        BreakerOpener(BatchingOpener(retried, adapter.inputs_at_once), breaker)
        if isinstance(adapter, TakesFew)
        else guarded
    )
    return ProviderStack(
        provider, adapter, client, guarded, fanned, batched, breaker, budget, TokenCounter(upstream), limited
    )


class _Clients:
    """One client, and so one pool of connections, for all providers that are reached in the same way."""

    def __init__(self, proxies: Mapping[str, str]) -> None:
        self._proxies = proxies  # of the environment
        self._made: dict[tuple[object, ...], Client] = {}

    def fitting(self, provider: Provider) -> Client:
        way = (provider.verify_tls, provider.ca_file, provider.proxy)
        if way not in self._made:
            proxy = self._proxies if provider.proxy is None else provider.proxy
            self._made[way] = Client(ssl=_tls(provider), proxy=proxy)
        return self._made[way]


def _tls(provider: Provider) -> ssl.SSLContext | None:
    """None: the platform's own trust, loaded when a first https address is asked."""
    if provider.verify_tls and not provider.ca_file:
        return None
    context = ssl.create_default_context(cafile=provider.ca_file or None)
    if not provider.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
