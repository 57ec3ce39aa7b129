"""Reads members of Google's JSON in camel or snake case. A member of a wrong type counts as absent."""

from __future__ import annotations

import re
from math import isfinite, nan
from typing import Any

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

_SNAKE = re.compile(r"_([a-z])")


def camel(name: str) -> str:
    return _SNAKE.sub(lambda letter: letter[1].upper(), name) if "_" in name else name


def spelled(value: Any) -> Json:
    """The members of an object by their camel case names; empty for anything else."""
    return {camel(key): one for key, one in value.items()} if isinstance(value, dict) else {}


def listed(value: Any, where: str) -> list[Json]:
    """A list of objects, or one object alone. Raises BadRequest for anything else."""
    found = [] if value is None else value if isinstance(value, list) else [value]
    for at, one in enumerate(found):
        if not isinstance(one, dict):
            place = f"{where}[{at}]" if isinstance(value, list) else where
            raise BadRequest(f"`{place}` must be an object.", param=place, code="invalid_type")
    return [spelled(one) for one in found]


def number(value: Any) -> int | float | None:
    """A number, or the number in a string; None for anything else, including infinity and NaN."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    try:
        found = float(value) if isinstance(value, str) else nan
    except ValueError:
        return None
    if not isfinite(found):
        return None
    return int(found) if found.is_integer() else found


def words(value: Any) -> str:
    return value if isinstance(value, str) else ""


def an_object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


class Fields:
    """The members of one object. `take` removes a member; `left` returns the names of those that were not taken."""

    def __init__(self, given: Any) -> None:
        self._given = spelled(given)
        self._taken: set[str] = set()

    def take(self, name: str) -> Any:
        self._taken.add(name)
        return self._given.get(name)

    def left(self) -> list[str]:
        return [name for name, value in self._given.items() if name not in self._taken and value not in (None, [], {})]
