"""The `[aliases]` table: chains, weights and rules; an alias must not refer to itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from .errors import Path, Wrong, suggestion
from .tables import expect_table, listing, parse, text, texts
from .values import Alias, Config, Rule, When


def parse_aliases(table: object, providers: Mapping[str, object]) -> dict[str, Alias]:
    path: Path = ("aliases",)
    aliases = {name: _alias(name, value, (*path, name)) for name, value in expect_table(table, path).items()}
    for name in aliases:
        _refuse_shadowed(name, providers)
    _refuse_cycles(aliases)
    return aliases


def _alias(name: str, value: Any, path: Path) -> Alias:
    if not isinstance(value, dict):
        return Alias(name, chain=_chain(value, path))
    match value:
        case {"weights": weights, **others} if not others:
            return Alias(name, weights=_weights(weights, (*path, "weights")))
        case {"rules": rules, **others} if not others.keys() - {"default"}:
            default = _chain(others["default"], (*path, "default")) if others else ()
            return Alias(name, rules=_rules(rules, (*path, "rules")), default=default)
        case {"chain": chain, **others} if not others:
            return Alias(name, chain=_chain(chain, (*path, "chain")))
    raise Wrong(
        path, "an alias is a model, a list of models, a table with `weights`, or one with `rules` and `default`"
    )


def _chain(value: Any, path: Path) -> tuple[str, ...]:
    chain = (text(value, path),) if isinstance(value, str) else texts(value, path)
    if not chain or not all(chain):
        raise Wrong(path, "names no model")
    return chain


def _weights(value: Any, path: Path) -> dict[str, float]:
    """A list means equal weights."""
    if isinstance(value, list):
        value = dict.fromkeys(_chain(value, path), 1)
    weights = expect_table(value, path)
    for model, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or weight <= 0:
            raise Wrong((*path, model), "a weight is a number above zero")
    if not weights:
        raise Wrong(path, "names no model")
    return {model: float(weight) for model, weight in weights.items()}


def _rules(value: Any, path: Path) -> tuple[Rule, ...]:
    if not isinstance(value, list) or not value:
        raise Wrong(path, "expected a list of rules, each { when = { ... }, use = ... }")
    return tuple(_rule(rule, (*path, index)) for index, rule in enumerate(value))


def _rule(value: Any, path: Path) -> Rule:
    table = expect_table(value, path)
    for key in table:
        if key not in ("when", "use", "why"):
            raise Wrong((*path, key), f"there is no such setting{suggestion(key, ('when', 'use', 'why'))}")
    if "use" not in table:
        raise Wrong(path, "a rule needs `use`, the model it chooses")
    when = parse(When, table.get("when", {}), (*path, "when"))
    rule = Rule(use=_chain(table["use"], (*path, "use")), when=when, why=text(table.get("why", ""), (*path, "why")))
    return replace(rule, when=replace(when, keywords=tuple(word for word in when.keywords if word.strip())))


def targets(alias: Alias) -> tuple[str, ...]:
    """Every name for which the alias may stand, in the written order."""
    return (*alias.chain, *alias.weights, *(model for rule in alias.rules for model in rule.use), *alias.default)


def _refuse_shadowed(name: str, providers: Mapping[str, object]) -> None:
    head, slash, _ = name.partition("/")
    if slash and head in providers:
        raise Wrong(("aliases", name), f"would never be used: a name that begins with {head}/ goes to that provider")


def _refuse_cycles(aliases: Mapping[str, Alias]) -> None:
    for name in _unending(aliases):
        if trail := _trail_back(name, aliases):
            circle = " -> ".join(trail)
            raise Wrong(
                ("aliases", name), f"stands for itself ({circle}); name the provider too, as in provider/{name}"
            )


def _unending(aliases: Mapping[str, Alias]) -> list[str]:
    """The aliases that are part of a circle or lead to one: those that remain when aliases that lead to no remaining alias are
    removed repeatedly.
    """
    leads = {name: {one for one in targets(alias) if one in aliases} for name, alias in aliases.items()}
    led_by: dict[str, list[str]] = {}
    for name, others in leads.items():
        for one in others:
            led_by.setdefault(one, []).append(name)
    ending = [name for name, others in leads.items() if not others]
    while ending:
        one = ending.pop()
        del leads[one]
        for name in led_by.get(one, ()):
            leads[name].discard(one)
            if not leads[name]:
                ending.append(name)
    return [name for name in aliases if name in leads]


def _trail_back(name: str, aliases: Mapping[str, Alias]) -> list[str]:
    """The shortest path from an alias back to itself; empty if there is none."""
    reached: dict[str, str] = {}  # an alias, and the alias before it on the path
    ways = deque([name])
    while ways and name not in reached:
        here = ways.popleft()
        for target in targets(aliases[here]):
            if target in aliases and target not in reached:
                reached[target] = here
                ways.append(target)
    if name not in reached:
        return []
    trail = [name, reached[name]]
    while trail[-1] != name:
        trail.append(reached[trail[-1]])
    return trail[::-1]


def unknown_providers(aliases: Mapping[str, Alias], providers: Mapping[str, object]) -> Iterator[str]:
    """Sentences about targets `head/model` whose head is not a configured provider: a typing error, or a missing key."""
    for alias in aliases.values():
        for target in targets(alias):
            head, slash, _ = target.partition("/")
            if slash and target not in aliases and head not in providers:
                near = suggestion(head, providers)
                have = listing(providers)
                yield f"alias {alias.name}: {target}: no provider {head} is configured{near}; there are {have}"


def doubts(config: Config) -> Iterator[str]:
    """Sentences about values that are valid but probably wrong: notes about the environment, and names without a target."""
    providers = {provider.name: provider for provider in config.providers}
    yield from config.notes
    yield from unknown_providers(config.aliases, providers)
    named = [
        ("default_model", config.default_model),
        *((f"mode {mode.name}", mode.model) for mode in config.modes.values()),
    ]
    for what, model in named:
        head, slash, _ = model.partition("/")
        if slash and head not in providers and not any(fnmatchcase(model, alias) for alias in config.aliases):
            near = suggestion(head, providers)
            yield f"{what}: {model}: no provider {head} is configured{near}; there are {listing(providers)}"
