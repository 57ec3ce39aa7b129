"""Registry of adapters by entry point. Built-in adapters and those of other packages are found in the same way."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_args

from .adapter import Account, Adapter, Environment
from .chat import Face

GROUP = "llmproxy.adapters"
API = 2  # version of the contract; an adapter may set the member `api` to the version it was written for

# Methods and their number of arguments besides self. Those of the first table are required, those of the second
# optional.
_REQUIRED = {"request": 1, "translator": 1, "error": 3}
_OPTIONAL = {"models_request": 1, "models": 1, "answer": 1, "pace": 1, "count_request": 1, "counted": 1}
_MEMBERS: Mapping[str, tuple[str, type | tuple[type, ...]]] = {
    "environment": ("an Environment", Environment),
    "many": ("True or False", bool),
    "first_frame": ("a number of seconds", (int, float)),
}
_SEE = "see docs/adapters.md"


class UnknownAdapter(LookupError):
    """No installed package registers an adapter of this name."""


class UnfitAdapter(TypeError):
    """An installed adapter does not fulfil the contract. The message says what to change."""


@cache
def _registered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def names() -> list[str]:
    """The names of all installed adapters, sorted. No adapter is imported."""
    return sorted(_registered())


@cache
def load(name: str) -> type[Adapter]:
    """The adapter's class. Raises UnknownAdapter or UnfitAdapter; errors of its import are not caught."""
    entry = _registered().get(name)
    if entry is None:
        raise UnknownAdapter(f"no adapter is called {name!r}; installed are: {', '.join(names())}")
    found: type[Adapter] = entry.load()
    if wrong := misfit(found):
        raise UnfitAdapter(f"{entry.value}: {wrong}")
    return found


def build(name: str, account: Account) -> Adapter:
    """An adapter for this account. Raises what `load` raises."""
    return load(name)(account)


def misfit(adapter: object) -> str:
    """What a class lacks to be an adapter, as one sentence with the fix; empty if it is a valid adapter."""
    if not isinstance(adapter, type):
        return "the entry point must name a class, which is built with an Account"
    if (api := getattr(adapter, "api", API)) != API:
        return f"it was written for API {api!r} of llmproxy.adapter_kit, and this is API {API}: {_SEE}"
    return _wrong_member(adapter) or _wrong_faces(adapter) or _wrong_method(adapter)


def _wrong_member(adapter: type) -> str:
    for name, (form, kind) in _MEMBERS.items():
        if not hasattr(adapter, name):
            return f"the class attribute `{name}` is missing; it must be {form}: {_SEE}"
        if not _is_computed(adapter, name) and not isinstance(getattr(adapter, name), kind):
            return f"the class attribute `{name}` must be {form}: {_SEE}"
    return ""


def _wrong_faces(adapter: type) -> str:
    """Checks `speaks`, or `faces`, its older name."""
    name = "speaks" if hasattr(adapter, "speaks") or not hasattr(adapter, "faces") else "faces"
    known = get_args(Face)
    if not hasattr(adapter, name):
        return f"the class attribute `{name}` is missing; it must be a set: {_SEE}"
    if _is_computed(adapter, name):
        return ""
    given = getattr(adapter, name)
    if not isinstance(given, Collection):
        return f"the class attribute `{name}` must be a set: {_SEE}"
    if isinstance(given, str) or not given:
        return f"`{name}` must be a set with some of {', '.join(known)}"
    unknown = next((face for face in given if face not in known), None)
    return f"`{name}` has {unknown!r}; it may have {', '.join(known)}" if unknown is not None else ""


def _wrong_method(adapter: type) -> str:
    """Checks the methods of the contract, and those that a base class lists in `checked_hooks` because it calls them."""
    if not _takes(adapter, 1):
        return f"`__init__` must take 1 argument beside self, the Account: {_SEE}"
    for name, count in {**_REQUIRED, **_OPTIONAL, **getattr(adapter, "checked_hooks", {})}.items():
        method = getattr(adapter, name, None)
        if method is None and name in _REQUIRED:
            return f"the method `{name}` is missing: {_SEE}"
        if method is not None and (wrong := _misshapen(adapter, name, method, count)):
            return f"`{name}` {wrong}"
    return ""


def _misshapen(adapter: type, name: str, method: object, count: int) -> str:
    if not callable(method):
        return f"must be a method: {_SEE}"
    if inspect.iscoroutinefunction(method):
        return f"must not be a coroutine; only `answer` may wait, and it yields: {_SEE}"
    if not _takes(method, count + _is_given_self(adapter, name)):
        return f"must take {count} argument{'s' * (count != 1)} beside self: {_SEE}"
    return ""


def _is_computed(adapter: type, name: str) -> bool:
    """Whether a member is computed for each instance, for example by a property, so that the class has no value for
    it.
    """
    return hasattr(type(inspect.getattr_static(adapter, name)), "__get__")


def _is_given_self(adapter: type, name: str) -> bool:
    """Whether a method, read from the class, still expects self: static and class methods do not."""
    return _is_computed(adapter, name) and not isinstance(
        inspect.getattr_static(adapter, name), (staticmethod, classmethod)
    )


@cache
def _takes(called: Any, count: int) -> bool:
    """Whether it can be called with this number of arguments. Presets share their methods; each is checked once."""
    try:
        inspect.signature(called).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # it has no readable signature
        return True
    return True
