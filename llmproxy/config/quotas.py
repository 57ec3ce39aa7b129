"""Parses budgets such as `20/month`, and expiry times such as `30d` or a date."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from . import errors
from .errors import Path, Wrong
from .tables import expect_table, parse
from .values import WINDOWS, Budget, Budgets, Group, Key

_BUDGET = re.compile(r"\$?\s*(\d+(?:\.\d+)?)\s*/\s*(\w+)")
_SPAN = re.compile(r"(\d+)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_E12 = 10**12


def budget(text: str) -> Budget:
    """`20/month`: dollars per day, week or month, or in total. Raises ValueError."""
    found = _BUDGET.fullmatch(text.strip())
    window = next((one for one in WINDOWS if found and one == found[2].lower()), None)
    if found is None or window is None:
        raise ValueError(
            f"{errors.shown(text)} is no budget: write dollars and a window, as 20/month; windows are {', '.join(WINDOWS)}"
        )
    return Budget(window, int(Decimal(found[1]) * _E12))


def budgets(value: object) -> tuple[Budget, ...]:
    """One text, several separated by commas, or a list; each window once. Raises ValueError."""
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(one, str) for one in texts):
        raise ValueError("a budget is a text as 20/month, or a list of such texts")
    found = tuple(budget(one) for one in texts if one.strip())
    if len({one.window for one in found}) < len(found):
        raise ValueError("each window may be named once")
    return found


def shown(one: Budget) -> str:
    """The amount as text."""
    whole, part = divmod(one.limit_e12, _E12)
    return f"{whole}.{part:012d}".rstrip("0").rstrip(".") + f"/{one.window}"


def end(value: object, now: float) -> float:
    """The end of a period in Unix seconds: `30d` from now, or a date or time in ISO 8601. Raises ValueError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and (found := _SPAN.fullmatch(value.strip())):
        return now + int(found[1]) * _SECONDS[found[2]]
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    try:
        given = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(
            f"{errors.shown(value)} is no end: write a span as 30d or 12h, or a date as 2026-12-31"
        ) from None
    return (given if given.tzinfo is not None else given.replace(tzinfo=UTC)).timestamp()


def parse_key(table: Mapping[str, Any], path: Path) -> Key:
    """A key with its limits. `expires` must be a date, because a duration in a file has no start."""
    key = parse(Key, {name: one for name, one in table.items() if name not in _OURS}, path, aside=("formerly", *_OURS))
    if "budget" in table:
        key = replace(key, budget=_parsed(budgets, table["budget"], (*path, "budget")))
    if "expires" in table:
        written = table["expires"]
        if isinstance(written, str) and _SPAN.fullmatch(written.strip()):
            raise Wrong((*path, "expires"), "must be a date in a file, as 2026-12-31")
        key = replace(key, expires=_parsed(lambda value: end(value, 0.0), written, (*path, "expires")))
    return key


_OURS = ("budget", "expires")


def parse_groups(value: object) -> dict[str, Group]:
    path: Path = ("groups",)
    return {name: _group(name, one, (*path, name)) for name, one in expect_table(value, path).items()}


def _group(name: str, value: object, path: Path) -> Group:
    table = expect_table(value, path)
    others = {key: inner for key, inner in table.items() if key != "budget"}
    group = parse(Group, {"name": name, **others}, path, aside=("budget",))
    given = table.get("budget", ())
    return replace(group, budget=_parsed(budgets, given, (*path, "budget")))


def parse_budgets(value: object) -> Budgets:
    settings = parse(Budgets, value, ("budgets",))
    try:
        ZoneInfo(settings.timezone)
    except (ValueError, OSError, LookupError):
        raise Wrong(
            ("budgets", "timezone"), f"{errors.shown(settings.timezone)} is no time zone; one is Europe/Berlin"
        ) from None
    if not 16 <= settings.slice_tokens <= 65_536:
        raise Wrong(("budgets", "slice_tokens"), "must be from 16 to 65536")
    return settings


def _parsed(read: Any, value: object, path: Path) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise Wrong(path, str(error)) from None
