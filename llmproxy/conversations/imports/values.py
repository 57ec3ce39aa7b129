"""Reads members of JSON whose types are not guaranteed."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from llmproxy.core.chat import Json

_LATEST = 1e11  # Unix seconds are below, milliseconds and nanoseconds above


def an_object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def a_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def objects(value: Any) -> list[Json]:
    return [one for one in a_list(value) if isinstance(one, dict)]


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def seconds(value: Any) -> float:
    """Unix seconds, from seconds, milliseconds, nanoseconds or an ISO date; 0 if it is none of these."""
    if isinstance(value, str):
        return seconds(float(value)) if value.isascii() and value.isdigit() else _dated(value)
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return 0.0
    time = float(value)
    while abs(time) > _LATEST:
        time /= 1000
    return time


def _dated(value: str) -> float:
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        return 0.0
