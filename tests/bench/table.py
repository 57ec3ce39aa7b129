"""A run as the one table of docs/performance.md: a row for each gateway, and how its numbers stand to ours."""

from __future__ import annotations

from collections.abc import Iterator

from .aborts import PHASES
from .goals import OURS
from .results import Results

_STREAMS = ("1,000 x 5/s", "100 x 1/s")  # the second for those that are too slow for the first
# What stands above a column, and the scenario, levels and metric from which it comes; the first level that was measured counts.
_COLUMNS = (
    ("CPU per small JSON request, 32 at once, us", "S1", ("c=32",), "cpu_us"),
    ("per paced event, 100 streams x 50/s, us", "S3", ("100 x 50/s",), "cpu_us"),
    ("per burst event, us", "S4", ("OpenAI",), "cpu_us"),
    ("memory per stream, KB", "S3", _STREAMS, "kb_per_stream"),
    ("memory at rest, MB", "S6", ("start",), "idle_mb"),
    ("until the first answer, s", "S6", ("start",), "start_s"),
    ("CPU until then, s", "S6", ("start",), "start_cpu_s"),
)
_CLOSES = "closes the provider's connection when the client leaves"


def table(results: Results) -> Iterator[str]:
    """Markdown. In brackets: times what llmproxy has in the same run."""
    yield " · ".join(f"{name} {value}" for name, value in results.machine.items())
    yield ""
    yield "| | " + " | ".join([*(title for title, *_ in _COLUMNS), _CLOSES]) + " |"
    yield "|---" * (len(_COLUMNS) + 2) + "|"
    for target in dict.fromkeys(row.target for row in results.rows()):
        cells = [_cell(results, target, scenario, levels, metric) for _, scenario, levels, metric in _COLUMNS]
        if any(cells):
            name = f"**{target}**" if target == OURS else target
            yield f"| {name} | " + " | ".join([*cells, _closing(results, target)]) + " |"
    yield from ("", *(f"- {note}" for note in dict.fromkeys(results.notes)))


def _cell(results: Results, target: str, scenario: str, levels: tuple[str, ...], metric: str) -> str:
    for level in levels:
        if (found := results.value(scenario, level, target, metric)) is not None:
            ours = results.value(scenario, levels[0], OURS, metric)
            beside = f" ({_number(found / ours, 2)})" if ours and target != OURS else ""
            of_few = "" if level == levels[0] else f", {level}"
            return f"{_number(found, 3)}{beside}{of_few}"
    return ""


def _number(value: float, digits: int) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.{digits}g}"


def _closing(results: Results, target: str) -> str:
    """In which phases it was not closed, or not always."""
    found = {phase.name: results.value("S5", phase.name, target, "never") for phase in PHASES}
    known = {name: never for name, never in found.items() if never is not None}
    left = [name for name, never in known.items() if never]
    if not left:
        return "always" if known else ""
    return "never" if len(left) == len(PHASES) else f"not: {', '.join(left)}"
