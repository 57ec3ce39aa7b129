"""Adapters by the name they are registered under: every one comes in by entry point, ours as a stranger's."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from .adapter import Account, Adapter

GROUP = "llmproxy.adapters"


class UnknownAdapter(LookupError):
    """Nothing installed registers an adapter of this name."""


@cache
def _registered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def names() -> list[str]:
    return sorted(_registered())


@cache
def load(name: str) -> type[Adapter]:
    """The adapter's class. Raises UnknownAdapter; whatever its import raises is let through."""
    entry = _registered().get(name)
    if entry is None:
        raise UnknownAdapter(f"no adapter is called {name!r}; installed are: {', '.join(names())}")
    adapter: type[Adapter] = entry.load()
    return adapter


def build(name: str, account: Account) -> Adapter:
    return load(name)(account)
