"""From the model's name that a client says to the providers that are to answer, in order, and why."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Protocol

from llmproxy.config import Alias, Config, Key
from llmproxy.core.adapter import Model
from llmproxy.core.chat import Chat
from llmproxy.core.errors import ModelNotFound

from .rules import Condition, Question

_PLAIN = re.compile(r"[^\x20-\x7e]+")  # what a header's value may not hold


@dataclass(frozen=True, slots=True)
class Target:
    """One provider, by its name in the config, and the name that it knows the model by."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class Route:
    """Those who are to answer, first come first asked; `why` is fit for a header."""

    targets: tuple[Target, ...]
    why: str


class Catalog(Protocol):
    """Who offers what, as far as it is known now."""

    def serves(self, model: str) -> Sequence[str]:
        """The names of the providers that offer a model of this name, in the config's order."""
        ...

    def models(self) -> Sequence[tuple[str, Model]]:
        """(provider, model) of all that is offered."""
        ...


@dataclass(frozen=True, slots=True)
class _Rule:
    condition: Condition
    use: tuple[str, ...]
    why: str


class Router:
    """The config's names, made ready for deciding in microseconds. Only orders; asks nobody."""

    def __init__(self, config: Config, catalog: Catalog, dice: random.Random | None = None) -> None:
        self._providers = frozenset(provider.name for provider in config.providers)
        self._aliases = config.aliases
        self._catalog = catalog
        self._dice = dice or random.Random()
        self._patterns = sorted((name for name in config.aliases if "*" in name), key=lambda name: (-len(name), name))
        self._rules = {name: tuple(_rules(alias)) for name, alias in config.aliases.items() if alias.rules}

    def route(self, chat: Chat, key: Key | None = None) -> Route:
        """Raises ModelNotFound if nobody serves it. key: who is told so, in names that it may see."""
        route = self._resolve(chat.model, Question(chat))
        if not route.targets:
            raise self.not_found(chat.model, key)
        return Route(route.targets, _PLAIN.sub("?", route.why))

    def targets_behind(self, name: str) -> tuple[Target, ...]:
        """All that a name may lead to, whatever the question: the likeliest first."""
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
        """The alias of this name, or the longest pattern that fits it. `used`: those that led here, which are not met again."""
        exact = self._aliases.get(name)
        if exact is not None:
            return exact
        fitting = (one for one in self._patterns if one not in used and _fits(name, one))
        return next((self._aliases[one] for one in fitting), None)

    def _resolve(self, name: str, question: Question, used: frozenset[str] = frozenset()) -> Route:
        """A route without targets if nobody serves it."""
        provider, slash, model = name.partition("/")
        if slash and model and provider in self._providers:
            return Route((Target(provider, model),), name)
        if alias := self._alias(name, used):
            return self._through(alias, question, used | {alias.name})
        return self._bare(name)

    def _through(self, alias: Alias, question: Question, used: frozenset[str]) -> Route:
        if alias.rules:
            return self._ruled(alias, question, used)
        names = self._drawn(alias.weights, question) if alias.weights else alias.chain
        return self._chained(alias.name, names, question, used)

    def _chained(self, said: str, names: Sequence[str], question: Question, used: frozenset[str]) -> Route:
        """All that the names lead to, each target once, those that lead nowhere left out."""
        routes = [route for name in names if (route := self._resolve(name, question, used)).targets]
        targets = tuple(dict.fromkeys(target for route in routes for target in route.targets))
        return Route(targets, f"{said} -> {routes[0].why}" if routes else said)

    def _ruled(self, alias: Alias, question: Question, used: frozenset[str]) -> Route:
        """By the first rule that holds and has somebody to answer, else by the default."""
        for rule in self._rules[alias.name]:
            if rule.condition.holds(question):
                route = self._chained(f"{alias.name}: {rule.why}", rule.use, question, used)
                if route.targets:
                    return route
        return self._chained(f"{alias.name}: default", alias.default, question, used)

    def _drawn(self, weights: Mapping[str, float], question: Question) -> list[str]:
        """One by lot, then the others, the heaviest first. A conversation of an agent always draws the same: the reasoning
        that it gives back is bound to the account that made it."""
        names = sorted(weights, key=lambda name: -weights[name])
        dice = self._dice if question.conversation is None else random.Random(question.conversation)
        drawn = dice.choices(names, [weights[name] for name in names])[0]
        return [drawn, *(name for name in names if name != drawn)]

    def _bare(self, model: str) -> Route:
        providers = self._catalog.serves(model)
        if not providers:
            return Route((), model)
        also = f" (also at {', '.join(providers[1:])})" if len(providers) > 1 else ""
        return Route((Target(providers[0], model),), f"{providers[0]}/{model}{also}")

    def not_found(self, asked: str, key: Key | None = None) -> ModelNotFound:
        """The same for what does not exist and for what the key may not use."""
        offered = self._catalog.models()
        known = [*self._aliases, *dict.fromkeys(name for one in offered for name in _names(one))]
        providers = sorted(self._providers)
        if key is not None:
            known = [name for name in known if permits(key, name)]
            providers = [name for name in providers if permits_some(key, name, offered)]
        near = get_close_matches(asked[:100], known, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else "GET /v1/models lists what there is."
        form = f"Models are named provider/model; providers here: {', '.join(providers) or 'none'}."
        form += f" A name that a client has built in needs an alias: [aliases] {asked[:60]!r} = 'provider/model'."
        return ModelNotFound(f"The model {asked[:200]!r} does not exist here. {hint} {form}", param="model")


def _rules(alias: Alias) -> Iterator[_Rule]:
    for rule in alias.rules:
        yield _Rule(Condition.of(rule.when), rule.use, rule.why or f"rule {alias.rules.index(rule) + 1}")


def _fits(name: str, pattern: str) -> bool:
    """Whether a pattern, in which `*` alone means anything, is a name's."""
    return fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]"))


def _names(offered: tuple[str, Model]) -> tuple[str, str]:
    provider, model = offered
    return f"{provider}/{model.id}", model.id


def permits(key: Key, name: str) -> bool:
    """Whether the key's patterns let it ask for this name (an alias, a bare model or provider/model)."""
    return "*" in key.models or any(fnmatchcase(name, pattern) for pattern in key.models)


def permits_some(key: Key, provider: str, offered: Sequence[tuple[str, Model]]) -> bool:
    """Whether the key may ask this provider for anything, by its patterns or by what is known to be offered."""
    if "*" in key.models or any(pattern.startswith(f"{provider}/") for pattern in key.models):
        return True
    return any(name == provider and permits(key, f"{name}/{model.id}") for name, model in offered)


def allowed(key: Key, asked: str, targets: Sequence[Target]) -> tuple[Target, ...]:
    """Those of the targets that the key may use: all if it may use the name it asked for. Raises ModelNotFound if none is left."""
    left = tuple(one for one in targets if permits(key, asked) or permits(key, str(one)))
    if not left:
        raise ModelNotFound(f"The model {asked[:200]!r} does not exist or you do not have access to it.", param="model")
    return left
