"""Adapters by the name they are registered under. Every one comes in by entry point, ours exactly as a stranger's."""

from __future__ import annotations

import inspect
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import get_args

from .adapter import Account, Adapter
from .chat import Face

GROUP = "llmproxy.adapters"
API = 2  # of the contract; an adapter may name the one it was written for in its member `api`

# Methods by name with the number of arguments they are called with; the first must be there, the others may.
_REQUIRED = {"request": 1, "translator": 1, "error": 3}
_OPTIONAL = {"models_request": 1, "models": 1, "answer": 1}
_MEMBERS = ("environment", "many", "first_frame", "faces")


class UnknownAdapter(LookupError):
    """Nothing installed registers an adapter of this name."""


class UnfitAdapter(TypeError):
    """An installed adapter does not keep the contract. The message says what to change."""


@cache
def _registered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def names() -> list[str]:
    return sorted(_registered())


@cache
def load(name: str) -> type[Adapter]:
    """The adapter's class. Raises UnknownAdapter, UnfitAdapter; whatever its import raises is let through."""
    entry = _registered().get(name)
    if entry is None:
        raise UnknownAdapter(f"no adapter is called {name!r}; installed are: {', '.join(names())}")
    found: type[Adapter] = entry.load()
    if wrong := misfit(found):
        raise UnfitAdapter(f"{entry.value}: {wrong}")
    return found


def build(name: str, account: Account) -> Adapter:
    return load(name)(account)


def misfit(adapter: type) -> str:
    """What a class lacks to be an adapter, in one sentence with the fix; empty if it is one."""
    if (api := getattr(adapter, "api", API)) != API:
        return f"it was written for API {api} of llmproxy.adapter_kit, and this is API {API}: see docs/adapters.md"
    for name in _MEMBERS:
        if not hasattr(adapter, name):
            return f"the member `{name}` is missing: see `Adapter` in llmproxy.adapter_kit"
    for name, count in (_REQUIRED | _OPTIONAL).items():
        method = inspect.getattr_static(adapter, name, None)
        if method is None and name in _REQUIRED:
            return f"the method `{name}` is missing: see `Adapter` in llmproxy.adapter_kit"
        if callable(method) and not _takes(method, count):
            return f"`{name}` must take {count} argument{'s' * (count > 1)} beside self: see llmproxy.adapter_kit"
    if unknown := sorted(set(adapter.faces) - set(get_args(Face))):  # type: ignore[attr-defined]  # looked at above
        return f"`faces` has {unknown[0]!r}; it may have {', '.join(get_args(Face))}"
    return ""


def _takes(method: object, count: int) -> bool:
    """Whether a function of a class can be called with so many arguments beside self."""
    try:
        inspect.signature(method).bind(*range(count + 1))  # type: ignore[arg-type]  # callable, as the caller has seen
    except TypeError:
        return False
    except ValueError:  # nothing is known of its signature
        return True
    return True
