"""Configuration errors: one sentence with file, line, reason and fix, never with a secret."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

Path = tuple[str | int, ...]


class Wrong(Exception):
    """A problem with the value at `path`, before its file and line are known."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(problem)
        self.path = path
        self.problem = problem


class ConfigError(Exception):
    """The configuration cannot be used. The text is for the operator; the process ends with exit code 2."""


def shown(value: object) -> str:
    """A wrong value, as an error may show it: a number or a boolean.

    Text is never shown, whatever it looks like and wherever it stands: people write keys into the wrong place. The error names
    the place and what is expected there.
    """
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, (int, float)) else "this value"


def dotted(path: Path) -> str:
    """`("providers", "a.b", "models", 0)` in TOML's notation: `providers."a.b".models[0]`."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            out += ("." if out else "") + (part if part.replace("-", "_").isidentifier() else f'"{part}"')
    return out


def suggestion(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """` (did you mean "x"?)`, or nothing if no known word is similar."""
    near = get_close_matches(word, sorted(known), n=1, cutoff=cutoff)
    return f' (did you mean "{near[0]}"?)' if near else ""
