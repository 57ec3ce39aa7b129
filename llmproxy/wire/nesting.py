"""Limit of JSON nesting for all received data."""

from __future__ import annotations

from functools import reduce
from typing import Any

import orjson

MAX_NESTING = 100  # levels
_WRITABLE = 254  # levels that orjson can write; it reads 1,024
_WRAPS = range(_WRITABLE - MAX_NESTING)


def is_deep(value: Any, raw: bytes) -> bool:
    """Whether `value`, parsed from `raw`, has more than MAX_NESTING levels. For most values, counting two characters decides it."""
    if len(raw) <= MAX_NESTING or raw.count(b"[") + raw.count(b"{") <= MAX_NESTING:
        return False
    # orjson counts levels faster than Python code: the value is wrapped in the levels that are left, and orjson refuses a
    # deeper one
    try:
        orjson.dumps(reduce(lambda inner, _: [inner], _WRAPS, value))
    except orjson.JSONEncodeError as error:
        return "Recursion limit" in str(error)
    return False


def cut(value: Any, levels: int = MAX_NESTING) -> Any:
    """The value with None in place of everything deeper than this number of levels."""
    if isinstance(value, dict):
        return {key: cut(inner, levels - 1) for key, inner in value.items()} if levels else None
    if isinstance(value, list):
        return [cut(inner, levels - 1) for inner in value] if levels else None
    return value
