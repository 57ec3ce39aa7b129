"""When a budget's window begins and ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from llmproxy.accounts.windows import span
from llmproxy.config.values import Window


def at(year: int, month: int, day: int, hour: int = 0) -> float:
    return datetime(year, month, day, hour, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("window", "timezone", "start", "end"),
    [
        ("day", "UTC", at(2026, 3, 29), at(2026, 3, 30)),
        ("day", "Europe/Berlin", at(2026, 3, 28, 23), at(2026, 3, 29, 22)),  # 23 hours: the clock is put forward
        ("week", "UTC", at(2026, 3, 23), at(2026, 3, 30)),
        ("month", "UTC", at(2026, 3, 1), at(2026, 4, 1)),
        ("month", "America/New_York", at(2026, 3, 1, 5), at(2026, 4, 1, 4)),
    ],
)
def test_windows_begin_where_the_clock_on_the_wall_says(
    window: Window, timezone: str, start: float, end: float
) -> None:
    assert span(window, at(2026, 3, 29, 12), timezone) == (start, end)


def test_in_total_is_for_ever() -> None:
    assert span("total", at(2026, 3, 29), "UTC") == (0.0, float("inf"))


def test_the_last_moment_of_a_window_is_in_it_and_its_end_is_in_the_next() -> None:
    end = at(2026, 4, 1)
    assert span("month", end - 0.001, "UTC").end == end == span("month", end, "UTC").start
