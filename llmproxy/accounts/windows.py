"""Start and end of a budget's window in a time zone."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from llmproxy.config.values import Window


class Span(NamedTuple):
    """In Unix seconds; `end` is the first second after it."""

    start: float
    end: float


_latest: dict[
    tuple[Window, str], Span
] = {}  # by window and time zone: computing one costs more than all else of a budget


def span(window: Window, now: float, timezone: str) -> Span:
    """The window that contains `now`."""
    found = _latest.get((window, timezone))
    if found is None or not found.start <= now < found.end:
        found = _latest[window, timezone] = _computed(window, now, timezone)
    return found


def _computed(window: Window, now: float, timezone: str) -> Span:
    """Days are as long as the clock of the time zone makes them."""
    if window == "total":
        return Span(0.0, math.inf)
    day = datetime.fromtimestamp(now, ZoneInfo(timezone)).replace(hour=0, minute=0, second=0, microsecond=0)
    if window == "week":
        day -= timedelta(days=day.weekday())
        return Span(day.timestamp(), (day + timedelta(days=7)).timestamp())
    if window == "month":
        first = day.replace(day=1)
        return Span(first.timestamp(), (first + timedelta(days=32)).replace(day=1).timestamp())
    return Span(day.timestamp(), (day + timedelta(days=1)).timestamp())
