"""Builds the stack of openers of one configured provider: retry, circuit breaker, concurrency limit, and the provider inside."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmproxy.config import Config, ConfigError, Provider
from llmproxy.core import adapter_registry
from llmproxy.core.adapter import Account, Adapter, TakesFew
from llmproxy.core.opener import Opener
from llmproxy.resilience import BreakerOpener, Breakers, ConcurrencyOpener, Places, RetryBudget, RetryOpener
from llmproxy.resilience.choices import ChoicesOpener
from llmproxy.resilience.embedding_batches import BatchingOpener
from llmproxy.upstream.http import Client
from llmproxy.upstream.provider import Upstream
from llmproxy.upstream.token_count import TokenCounter


@dataclass(slots=True)
class ProviderStack:
    """One provider with all of its wrappers."""

    provider: Provider
    adapter: Adapter
    client: Client
    opener: Opener
    for_choices: Opener  # for n > 1, if the provider returns one choice only
    for_embeddings: Opener
    breaker: Breakers
    budget: RetryBudget
    counter: TokenCounter
    limited: ConcurrencyOpener | None = None


def build_stack(provider: Provider, config: Config, clients: Clients, places: Places | None) -> ProviderStack:
    account = Account(provider.name, provider.base_url, provider.api_key, provider.headers, provider.options)
    try:
        adapter = adapter_registry.build(provider.adapter, account)
    except ValueError as error:  # the adapter rejects an option
        raise ConfigError(f"[providers.{provider.name}] {error}") from error
    client = clients.fitting(provider)
    upstream = Upstream(adapter, client, provider.timeouts)
    opener: Opener = upstream
    limited = None
    if provider.max_concurrent is not None:
        opener = limited = ConcurrencyOpener(opener, places or Places(**places_of(provider)))
    breaker = Breakers(provider.breaker, name=provider.name)
    limits = config.limits
    budget = RetryBudget(limits.retry_budget)
    retries = limits.retries if provider.retries is None else provider.retries
    retried = RetryOpener(opener, retries=retries, budget=budget, max_wait=limits.max_retry_after)
    guarded, for_choices = BreakerOpener(retried, breaker), BreakerOpener(ChoicesOpener(retried), breaker)
    for_embeddings = (
        BreakerOpener(BatchingOpener(retried, adapter.inputs_at_once), breaker)
        if isinstance(adapter, TakesFew)
        else guarded
    )
    counter = TokenCounter(upstream)
    return ProviderStack(
        provider, adapter, client, guarded, for_choices, for_embeddings, breaker, budget, counter, limited
    )


def places_of(provider: Provider) -> dict[str, Any]:
    return {"at_once": provider.max_concurrent, "queue": provider.max_queue, "wait": provider.queue_wait}


class Clients:
    """One HTTP client, and so one connection pool, for all providers that are reached in the same way."""

    def __init__(self, proxies: Mapping[str, str]) -> None:
        self._proxies = proxies  # proxies from the environment
        self._made: dict[tuple[object, ...], Client] = {}

    def fitting(self, provider: Provider) -> Client:
        way = (provider.verify_tls, provider.ca_file, provider.proxy)
        if way not in self._made:
            proxy = self._proxies if provider.proxy is None else provider.proxy
            self._made[way] = Client(ssl=_tls(provider), proxy=proxy)
        return self._made[way]


def _tls(provider: Provider) -> ssl.SSLContext | None:
    """None: the platform's certificates, loaded at the first https request."""
    if provider.verify_tls and not provider.ca_file:
        return None
    context = ssl.create_default_context(cafile=provider.ca_file or None)
    if not provider.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
