"""Start and end of a budget's window in a time zone."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from llmproxy.config.values import Window


class Span(NamedTuple):
    """Unix seconds; it ends before `end`."""

    start: float
    end: float


@lru_cache(256)
def _span(window: Window, day: datetime) -> Span:
    """Of a day's midnight. Days are as long as the zone's clock makes them."""
    if window == "week":
        day -= timedelta(days=day.weekday())
        return Span(day.timestamp(), (day + timedelta(days=7)).timestamp())
    if window == "month":
        first = day.replace(day=1)
        return Span(first.timestamp(), (first + timedelta(days=32)).replace(day=1).timestamp())
    return Span(day.timestamp(), (day + timedelta(days=1)).timestamp())


def span(window: Window, now: float, timezone: str) -> Span:
    """The window that `now` is in."""
    if window == "total":
        return Span(0.0, math.inf)
    midnight = datetime.fromtimestamp(now, ZoneInfo(timezone)).replace(hour=0, minute=0, second=0, microsecond=0)
    return _span(window, midnight)
