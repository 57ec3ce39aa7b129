"""Converts `?` and `:name` in the store's SQL to PostgreSQL's `$1`, `$2`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

_MARK = re.compile(r"'(?:[^']|'')*'|::|\?|:([a-z_][a-z0-9_]*)")  # quoted texts and casts are not changed


class Numbered(NamedTuple):
    """names: of the parameters, in order; empty where they are `?`."""

    sql: str
    names: tuple[str, ...]


@lru_cache(512)
def numbered(sql: str) -> Numbered:
    names: list[str] = []
    count = 0

    def number(mark: re.Match[str]) -> str:
        nonlocal count
        if name := mark[1]:
            if name not in names:
                names.append(name)
            return f"${names.index(name) + 1}"
        if mark[0] != "?":
            return mark[0]
        count += 1
        return f"${count}"

    return Numbered(_MARK.sub(number, sql), tuple(names))


def ordered(names: tuple[str, ...], parameters: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any]:
    """The parameters in the order of their numbers."""
    if isinstance(parameters, Mapping):
        return [parameters[name] for name in names]
    return parameters
