"""Resolves a model name to providers, in order, with the reason."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from llmproxy.config import Alias, Config, Key
from llmproxy.core.chat import Chat
from llmproxy.core.errors import ModelNotFound

from .affinity import Member, distance, ordered
from .alias_patterns import AliasPatterns
from .near_names import NearNames
from .offer import Offer
from .permits import permits
from .rules import Question, RuleTable

_PLAIN = re.compile(r"[^\x20-\x7e]+")  # characters that a header value must not contain


@dataclass(frozen=True, slots=True)
class Target:
    """One provider, by its configured name, and its own name for the model."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class Route:
    """The targets in the order in which they are asked; `why` is safe in a header. shared: some of them are equal."""

    targets: tuple[Target, ...]
    why: str
    shared: bool = False


class Catalog(Protocol):
    """The models that providers offer, as far as known now."""

    def serves(self, model: str) -> Sequence[str]:
        """The names of the providers that offer a model of this name, in the config's order."""
        ...

    @property
    def offer(self) -> Offer:
        """All offered models: a new object when anything has changed."""
        ...


class Load(NamedTuple):
    """The number of running requests of a target, and whether its circuit breaker is open."""

    running: int = 0
    down: bool = False


def unloaded(_: Target) -> Load:
    return Load()


class Router:
    """The configured names, prepared so that routing takes microseconds. It only selects and orders; it sends nothing."""

    def __init__(
        self,
        config: Config,
        catalog: Catalog,
        dice: random.Random | None = None,
        load: Callable[[Target], Load] = unloaded,
    ) -> None:
        self._providers = frozenset(provider.name for provider in config.providers)
        self._aliases = config.aliases
        self._catalog = catalog
        self._dice = dice or random.Random()
        self._load = load
        self._affinity = config.routing.affinity
        self._hints = config.routing.affinity and config.routing.hints
        self._patterns = AliasPatterns(config.aliases)
        self._rules = {name: RuleTable(alias.rules) for name, alias in config.aliases.items() if alias.rules}
        self._near: tuple[Offer, NearNames] | None = None

    def route(self, chat: Chat, key: Key | None = None) -> Route:
        """Raises ModelNotFound if no provider has the model. key: the caller's; the error only mentions names that it may use."""
        route = self._resolve(chat.model, Question(chat, key.name if key is not None else ""))
        if not route.targets:
            raise self.not_found(chat.model, key)
        return replace(route, why=_PLAIN.sub("?", route.why))

    def keeps_together(self, question: Question) -> bool:
        """Whether all turns of the request's conversation should reach one provider: by the client's header, or as configured."""
        return self._affinity if question.wants_affinity is None else question.wants_affinity

    def sends_hint(self, affinity: bool | None) -> bool:
        """Whether a conversation hint is sent to the provider: by the client's header, or as configured."""
        return self._hints if affinity is None else affinity

    def direct(self, name: str) -> Route | None:
        """The route of a name that says its provider."""
        provider, _, model = name.partition("/")
        if not model or provider not in self._providers:
            return None
        return Route((Target(provider, model),), _PLAIN.sub("?", name))

    def targets_behind(self, name: str) -> tuple[Target, ...]:
        """All possible targets of a name, for any request: the most likely first."""
        return self._behind(name, frozenset())

    def _behind(self, name: str, used: frozenset[str]) -> tuple[Target, ...]:
        alias = self._alias(name, used)
        if alias is None:
            provider, _, model = name.partition("/")
            return (Target(provider, model),) if provider in self._providers and model else self._bare(name).targets
        weighted = sorted(alias.weights, key=lambda one: -alias.weights[one])
        names = (*alias.chain, *weighted, *alias.default, *(one for rule in alias.rules for one in rule.use))
        return tuple(dict.fromkeys(target for one in names for target in self._behind(one, used | {alias.name})))

    def _alias(self, name: str, used: frozenset[str]) -> Alias | None:
        """The alias with this name, or the longest matching pattern. `used`: aliases on the way here, which are not used again."""
        exact = self._aliases.get(name)
        if exact is not None:
            return exact
        fitting = self._patterns.fitting(name, used)
        return self._aliases[fitting] if fitting is not None else None

    def _resolve(self, name: str, question: Question, used: frozenset[str] = frozenset()) -> Route:
        """A route without targets if no provider has the model."""
        if route := self.direct(name):
            return route
        if alias := self._alias(name, used):
            return self._through(alias, question, used | {alias.name})
        return self._bare(name)

    def _through(self, alias: Alias, question: Question, used: frozenset[str]) -> Route:
        if alias.rules:
            return self._ruled(alias, question, used)
        if alias.weights:
            return self._shared(alias, question, used)
        return self._chained(alias.name, alias.chain, question, used)

    def _chained(self, asked_name: str, names: Sequence[str], question: Question, used: frozenset[str]) -> Route:
        """The targets of all names, each once; names without a target are skipped."""
        routes = [route for name in names if (route := self._resolve(name, question, used)).targets]
        return _joined(asked_name, routes)

    def _shared(self, alias: Alias, question: Question, used: frozenset[str]) -> Route:
        """Equal targets: first the one for the conversation, or a random one, then the others."""
        found = {name: self._resolve(name, question, used) for name in alias.weights}
        routes = {name: route for name, route in found.items() if route.targets}
        members = [Member(name, alias.weights[name], *self._load(one.targets[0])) for name, one in routes.items()]
        stays = question.is_bound or self.keeps_together(question)
        conversation = question.conversation if stays and members else None
        key = self._dice.randbytes(16) if conversation is None else conversation
        order = ordered(key, members, bounded=not question.is_bound)
        route = _joined(alias.name, [routes[one.name] for one in order])
        why = route.why if conversation is None else f"{route.why} ({_why_here(conversation, order)})"
        return Route(route.targets, why, shared=True)

    def _ruled(self, alias: Alias, question: Question, used: frozenset[str]) -> Route:
        """By the first matching rule with an available target, otherwise by the default."""
        for rule in self._rules[alias.name].holding(question):
            route = self._chained(f"{alias.name}: {rule.why}", rule.use, question, used)
            if route.targets:
                return route
        return self._chained(f"{alias.name}: default", alias.default, question, used)

    def _bare(self, model: str) -> Route:
        providers = self._catalog.serves(model)
        if not providers:
            return Route((), model)
        also = f" (also at {', '.join(providers[1:])})" if len(providers) > 1 else ""
        return Route((Target(providers[0], model),), f"{providers[0]}/{model}{also}")

    def not_found(self, asked: str, key: Key | None = None) -> ModelNotFound:
        """The same error for a name that does not exist and for one that the key may not use."""
        providers = sorted(one for one in self._providers if key is None or permits_some(key, one, self._catalog.offer))
        near = self._near_names().near(asked, lambda name: key is None or permits(key, name))
        hint = f"Did you mean {' or '.join(near)}?" if near else "GET /v1/models lists all models."
        form = f"Models are named provider/model; providers here: {', '.join(providers) or 'none'}."
        form += f" A name that a client has built in needs an alias: [aliases] {asked[:60]!r} = 'provider/model'."
        return ModelNotFound(f"The model {asked[:200]!r} does not exist here. {hint} {form}", param="model")

    def _near_names(self) -> NearNames:
        """All names that may be suggested: aliases, models, and models with their providers."""
        offer = self._catalog.offer
        if self._near is None or self._near[0] is not offer:
            models = {name: tuple(f"{one}/{name}" for one in offer.serves(name)) for name in offer.names}
            self._near = offer, NearNames({**dict.fromkeys(self._aliases, ()), **models})
        return self._near[1]


def _joined(asked_name: str, routes: Sequence[Route]) -> Route:
    """The targets of all routes in order, each once."""
    targets = tuple(dict.fromkeys(target for route in routes for target in route.targets))
    shared = any(route.shared for route in routes)
    return Route(targets, f"{asked_name} -> {routes[0].why}" if routes else asked_name, shared)


def _why_here(conversation: bytes, order: Sequence[Member]) -> str:
    """How the first target was chosen, for the header."""
    home = min(order, key=lambda one: distance(conversation, one))
    if home is order[0]:
        return "conversation"
    return f"conversation; {home.name} {'failed' if home.down else 'is busy'}"


def permits_some(key: Key, provider: str, offer: Offer) -> bool:
    """Whether the key may use any model of this provider, by its patterns or by the known models."""
    if "*" in key.models or any(pattern.startswith(f"{provider}/") for pattern in key.models):
        return True
    return offer.offers_some(provider, key.models)


def allowed(key: Key, asked: str, targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets that the key may use: all if it may use the requested name. Raises ModelNotFound if none is left."""
    left = tuple(one for one in targets if permits(key, asked) or permits(key, str(one)))
    if not left:
        raise ModelNotFound(f"The model {asked[:200]!r} does not exist or you do not have access to it.", param="model")
    return left
