"""Checks which model names a key may use, by its patterns."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache

from llmproxy.config import Key


def permits(key: Key, name: str) -> bool:
    """Whether the key's patterns allow this name (an alias, a bare model or provider/model)."""
    return may_use(key.models, name)


def may_use(patterns: tuple[str, ...], name: str) -> bool:
    """Whether one of the patterns (fnmatch, case-sensitive) matches the name."""
    return "*" in patterns or _any(patterns).match(name) is not None


@lru_cache(maxsize=1024)
def _any(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """All patterns of a key as one expression, so that a name is matched once."""
    return re.compile("|".join(map(translate, patterns)) or "(?!)")
