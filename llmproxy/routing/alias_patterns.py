"""Aliases with `*` in their names: finds the longest pattern that matches a model's name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cached_property


class AliasPatterns:
    """`*` matches any text. The longest matching pattern is used."""

    def __init__(self, names: Iterable[str]) -> None:
        self._patterns = sorted((name for name in names if "*" in name), key=lambda name: (-len(name), name))

    def fitting(self, name: str, used: Collection[str] = ()) -> str | None:
        """used: patterns that are excluded."""
        if not self._patterns or (found := self._first.fullmatch(name)) is None:
            return None
        first = self._patterns[(found.lastindex or 1) - 1]
        if first not in used:
            return first
        others = (one for one in self._patterns if one not in used)
        return next((one for one in others if re.fullmatch(_expression(one), name, re.DOTALL)), None)

    @cached_property
    def _first(self) -> re.Pattern[str]:
        """All patterns in order as one expression, one group each."""
        return re.compile("|".join(f"({_expression(one)})" for one in self._patterns), re.DOTALL)


def _expression(pattern: str) -> str:
    return ".*".join(map(re.escape, pattern.split("*")))
