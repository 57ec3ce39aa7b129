"""Limit of JSON nesting for all bytes that come in."""

from __future__ import annotations

from functools import reduce
from typing import Any

import orjson

MAX_NESTING = 100  # levels
_WRITABLE = 254  # levels that orjson writes; it reads 1,024
_WRAPS = range(_WRITABLE - MAX_NESTING)


def is_deep(value: Any, raw: bytes) -> bool:
    """Whether `value`, parsed from `raw`, has more than MAX_NESTING levels. Two counts decide it for most."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_NESTING:
        return False
    try:  # orjson counts the levels faster than a walk could: wrapped in as many as are left, a deeper one is refused
        orjson.dumps(reduce(lambda inner, _: [inner], _WRAPS, value))
    except orjson.JSONEncodeError as error:
        return "Recursion limit" in str(error)
    return False


def cut(value: Any, levels: int = MAX_NESTING) -> Any:
    """The value without what lies deeper than so many levels: None stands in its place."""
    if isinstance(value, dict):
        return {key: cut(inner, levels - 1) for key, inner in value.items()} if levels else None
    if isinstance(value, list):
        return [cut(inner, levels - 1) for inner in value] if levels else None
    return value
