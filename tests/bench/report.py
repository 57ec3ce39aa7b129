"""A run as Markdown: one table for each scenario and level, ratios beside the numbers, and the goals with what was found."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from .goals import judged
from .results import Results, Row

BESIDE = ("nginx", "lean relay", "aiohttp relay", "SQLite")  # what CPU is given as ratios of
TITLES = {
    "S1": "S1: small JSON",
    "S2": "S2: large bodies",
    "S3": "S3: paced streams",
    "S4": "S4: burst streams",
    "S5": "S5: clients that leave",
    "S6": "S6: start and installation",
    "S7": "S7: readers that do not read",
    "S8": "S8: requests at random moments",
    "S9": "S9: stores and replicas",
    "S10": "S10: thousands of streams",
    "T": "Translators alone",
}


def markdown(results: Results) -> str:
    return "\n".join((*_machine(results), *_goals(results), *_tables(results)))


def _machine(results: Results) -> Iterator[str]:
    yield " · ".join(f"{name} {value}" for name, value in results.machine.items())
    yield ""
    for note in results.notes:
        yield f"- {note}"


def _goals(results: Results) -> Iterator[str]:
    rows = [f"| {text} | {found:.3g} | {'met' if met else '**missed**'} |" for text, found, met in judged(results)]
    if rows:
        yield from ("## Goals", "", "| goal | found | |", "|---|---|---|", *rows, "")


def _tables(results: Results) -> Iterator[str]:
    for scenario, rows in groupby(sorted(results.rows(), key=lambda row: row.scenario), lambda row: row.scenario):
        yield from (f"## {TITLES.get(scenario, scenario)}", "")
        of_scenario = list(rows)
        for level in dict.fromkeys(row.level for row in of_scenario):
            yield from _table(results, level, [row for row in of_scenario if row.level == level])


def _table(results: Results, level: str, rows: list[Row]) -> Iterator[str]:
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    beside = [name for name in BESIDE if any(row.target == name for row in rows)] if "cpu_us" in metrics else []
    yield f"| {level} | " + " | ".join([*metrics, *(f"cpu x {name}" for name in beside)]) + " |"
    yield "|---" * (1 + len(metrics) + len(beside)) + "|"
    for row in rows:
        numbers = [_number(row.metrics.get(name)) for name in metrics]
        ratios = [_number(_ratio(results, row, name)) for name in beside]
        yield f"| {row.target} | " + " | ".join(numbers + ratios) + " |"
    yield ""


def _ratio(results: Results, row: Row, beside: str) -> float | None:
    base = results.value(row.scenario, row.level, beside, "cpu_us")
    ours = row.metrics.get("cpu_us")
    return ours / base if ours is not None and base else None


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"
