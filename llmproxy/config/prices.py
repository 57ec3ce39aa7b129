"""The `[prices]` table: prices that the built-in table does not have, or that replace its prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import Path, Wrong, suggestion
from .tables import expect_table, listing

CLASSES = (
    "input", "output", "reasoning", "cache_read", "cache_write_5m", "cache_write_1h",
    "audio_in", "audio_out", "image_in", "image_out", "calls", "request",
)  # fmt: skip


def parse_prices(value: object) -> dict[str, str | Mapping[str, float]]:
    """Patterns of `provider/model`; the first match is used."""
    path: Path = ("prices",)
    return {pattern: _price(one, (*path, pattern)) for pattern, one in expect_table(value, path).items()}


def _price(value: Any, path: Path) -> str | Mapping[str, float]:
    if isinstance(value, str):
        return str(value)
    if not isinstance(value, dict):
        raise Wrong(
            path, "a price is a table of dollars a million tokens, or the name of a provider in the table of prices"
        )
    for name, dollars in value.items():
        if name not in CLASSES:
            raise Wrong(
                (*path, name), f"there is no such price{suggestion(name, CLASSES)}; known are {listing(CLASSES)}"
            )
        if isinstance(dollars, bool) or not isinstance(dollars, (int, float)) or not 0 <= dollars < 10**6:
            raise Wrong((*path, name), "a price is a number of dollars, 0 or more")
    if not {"input", "output"} <= value.keys():
        raise Wrong(path, "needs `input` and `output`, in dollars a million tokens")
    return {name: float(dollars) for name, dollars in value.items()}
