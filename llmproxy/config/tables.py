"""Converts TOML tables to typed values; unknown keys, wrong types and invalid numbers are errors."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from .errors import Path, Wrong, shown, suggestion

T = TypeVar("T")
Table = Mapping[str, Any]

_REFERENCE = re.compile(r"\$(?P<escaped>\$\{)|\$\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\}")

_RANGES: dict[str, tuple[float, float]] = {
    "port": (0, 65535),
    "workers": (1, 256),
    "attempts": (1, 100),
    "max_body": (1024, 2**40),
    "max_connections": (1, 10**6),
    "max_in_flight": (1, 10**6),
    "max_concurrent": (1, 10**6),
    "success": (0, 1),
}
_UP_FROM_ZERO = (0, float("inf"))
_BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1", "enabled"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0", "disabled"), False),
}
_SYNONYMS = {"warn": "warning", "critical": "error", "fatal": "error", "trace": "debug", "verbose": "debug"}


class Substituted(str):
    """Text in which a `${NAME}` was replaced: it may be a secret, or a number."""

    __slots__ = ()


_WORDS = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "null": "nothing",
    "object": "a table",
    "str": "text",
}


def substitute(value: Any, environ: Mapping[str, str], path: Path = ()) -> Any:
    """`value` with `${NAME}` and `${NAME:-default}` replaced in all its strings; `$${` is an escape for `${`."""
    if isinstance(value, str):
        return _substitute_text(value, environ, path)
    if isinstance(value, dict):
        return {key: substitute(inner, environ, (*path, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [substitute(inner, environ, (*path, index)) for index, inner in enumerate(value)]
    return value


def _substitute_text(text: str, environ: Mapping[str, str], path: Path) -> str:
    def replacement(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if match["escaped"]:
            return "${"
        if (value := environ.get(name) or default) is not None:
            return value
        raise Wrong(path, f"the environment variable {name} is not set (give a default with ${{{name}:-...}})")

    return Substituted(_REFERENCE.sub(replacement, text)) if "${" in text else text


def parse(cls: type[T], table: object, path: Path, aside: Iterable[str] = ()) -> T:
    """The dataclass `cls` from a table whose keys are its field names; nested tables likewise.

    `aside`: fields that the caller sets itself.
    """
    return cls(**fields(cls, table, path, aside))


def fields(cls: type, table: object, path: Path, aside: Iterable[str] = ()) -> dict[str, Any]:
    hints = {name: hint for name, hint in _hints(cls).items() if name not in aside}
    given = expect_table(table, path)
    for key in given:
        if key not in hints:
            raise Wrong((*path, key), f"there is no such setting{suggestion(key, hints)}; known are {listing(hints)}")
    return {key: _parse_value(hints[key], value, (*path, key)) for key, value in given.items()}


def _parse_value(hint: Any, value: Any, path: Path) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return parse(hint, value, path)
    if get_origin(hint) is Literal:
        return one_of(value, get_args(hint), path)
    converted = _convert(hint, value, path)
    if isinstance(converted, (int, float)) and not isinstance(converted, bool):
        _check_range(converted, path)
    return converted


def _convert(hint: Any, value: Any, path: Path) -> Any:
    """Uses msgspec's message for a wrong type; the place that it names inside the value becomes part of the path."""
    lax = isinstance(value, Substituted)
    if lax and hint is bool:
        return _boolean(value, path)
    try:
        return msgspec.convert(str(value) if lax else value, hint, strict=not lax)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        if problem.startswith("Invalid "):  # "Invalid enum value 'x'"
            problem = f"{shown(value)} is not one of those that are allowed"
        index = re.match(r"\[(\d+)\]", where)
        place = (*path, int(index[1])) if index else path
        raise Wrong(place, _in_words(problem)) from None


def _in_words(problem: str) -> str:
    """msgspec's message without the names of Python's types."""
    found = re.match(r"Expected `([^`]+)`(?:, got `([^`]+)`)?", problem)
    if found is None:
        return problem[:1].lower() + problem[1:]
    wanted = " or ".join(_WORDS.get(kind, kind) for kind in found[1].split(" | "))
    given = f", not {_WORDS.get(found[2], found[2])}" if found[2] else ""
    return f"must be {wanted}{given}{problem[found.end() :]}"


def _boolean(text: str, path: Path) -> bool:
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    raise Wrong(path, "must be one of true, false, yes, no, on, off, 1, 0")


def _check_range(number: float, path: Path) -> None:
    least, most = _RANGES.get(str(path[-1]), _UP_FROM_ZERO)
    if not least <= number <= most:
        allowed = f"from {least:g} to {most:g}" if most != float("inf") else f"at least {least:g}"
        raise Wrong(path, f"{shown(number)} is out of range: it must be {allowed}")


def one_of(value: Any, allowed: Iterable[str], path: Path) -> str:
    known = [str(word) for word in allowed]
    if isinstance(value, str):
        word = value.lower()
        if (found := word if word in known else _SYNONYMS.get(word)) in known:
            return str(found)
    near = suggestion(value, known) if isinstance(value, str) else ""
    raise Wrong(path, f"{shown(value)} is not one of {', '.join(known)}{near}")


def text(value: Any, path: Path) -> str:
    return str(_convert(str, value, path))


def texts(value: Any, path: Path) -> tuple[str, ...]:
    return tuple(_convert(tuple[str, ...], value, path))


def expect_table(value: object, path: Path) -> Table:
    if isinstance(value, dict):
        return value
    raise Wrong(path, f"expected a table, got {_KINDS.get(type(value), 'something else')}")


def listing(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


_KINDS = {str: "text", int: "a number", float: "a number", bool: "a boolean", list: "an array"}


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)
