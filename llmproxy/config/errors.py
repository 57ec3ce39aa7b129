"""Configuration errors: one sentence with file, line, reason and fix, never with a secret."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

Path = tuple[str | int, ...]


class Wrong(Exception):
    """What is wrong with the value at `path`, before it is known which file and line that is."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(problem)
        self.path = path
        self.problem = problem


class ConfigError(Exception):
    """The configuration cannot be used. Its text is for the operator; the process ends with exit code 2."""


def dotted(path: Path) -> str:
    """`("providers", "a.b", "models", 0)` as an operator would write it: `providers."a.b".models[0]`."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            out += ("." if out else "") + (part if part.replace("-", "_").isidentifier() else f'"{part}"')
    return out


def suggestion(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """` (did you mean "x"?)`, or nothing if no known word is near."""
    near = get_close_matches(word, sorted(known), n=1, cutoff=cutoff)
    return f' (did you mean "{near[0]}"?)' if near else ""
