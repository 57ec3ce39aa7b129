"""Two runs side by side by their ratios: how ours stands to nginx and to the floor relay, before and now."""

from __future__ import annotations

from collections.abc import Iterator

from .goals import OURS
from .results import Results

COMPARED = ("cpu_us", "start_cpu_s", "idle_mb")
BESIDE = ("nginx", "lean relay", "bare aiohttp")
WORTH = 0.10  # a change of a ratio below this is noise


def changes(before: Results, now: Results) -> Iterator[str]:
    """A Markdown table; absolute times are not compared, machines and neighbours differ."""
    yield f"before {before.machine.get('commit')}, now {now.machine.get('commit')}"
    yield from ("", "| | beside | before | now | change |", "|---|---|---|---|---|")
    for row in now.rows():
        if row.target == OURS:
            for metric in (name for name in COMPARED if name in row.metrics):
                yield from _row(before, now, (row.scenario, row.level), metric)


def _row(before: Results, now: Results, where: tuple[str, str], metric: str) -> Iterator[str]:
    for beside in BESIDE:
        old, new = (_ratio(results, where, metric, beside) for results in (before, now))
        if old and new:
            change = new / old - 1
            mark = "" if abs(change) < WORTH else " **slower**" if change > 0 else " faster"
            yield f"| {where[0]} {where[1]} {metric} | {beside} | {old:.2f} | {new:.2f} | {change:+.0%}{mark} |"


def _ratio(results: Results, where: tuple[str, str], metric: str, beside: str) -> float | None:
    ours = results.value(*where, OURS, metric)
    theirs = results.value(*where, beside, metric)
    return ours / theirs if ours is not None and theirs else None
