"""A run as plots: plain SVG bars, readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from .results import Results

WIDTH, LABEL, BAR, GAP, TOP = 720, 120, 22, 8, 44
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.t{font-weight:600;font-size:15px}.v{fill:#57606a}"
    ".b{fill:#8c959f}.o{fill:#0969da}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.v{fill:#9198a1}.b{fill:#656c76}.o{fill:#4493f8}}"
)


@dataclass(frozen=True, slots=True)
class Plot:
    """One metric of one scenario and level, a bar for each target."""

    file: str
    scenario: str
    level: str
    metric: str
    title: str
    unit: str


PLOTS = (
    Plot("bench-json", "S1", "c=32", "cpu_us", "CPU per small JSON request, 32 at once", "us"),
    Plot("bench-paced", "S3", "100 x 50/s", "cpu_us", "CPU per event, 100 paced streams", "us"),
    Plot("bench-latency", "S3", "100 x 50/s", "added_p99_ms", "Added latency per event, p99, 100 paced streams", "ms"),
    Plot("bench-burst", "S4", "OpenAI", "cpu_us", "CPU per event, burst streams", "us"),
    Plot("bench-memory", "S6", "start", "idle_mb", "Memory at rest", "MB"),
    Plot("bench-start", "S6", "start", "start_cpu_s", "CPU to the first answer", "s"),
)


def write(results: Results, directory: Path) -> list[Path]:
    """One file for each plot that the run has numbers for."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for plot in PLOTS:
        bars = [
            (row.target, row.metrics[plot.metric])
            for row in results.rows()
            if (row.scenario, row.level) == (plot.scenario, plot.level) and plot.metric in row.metrics
        ]
        if bars:
            path = directory / f"{plot.file}.svg"
            path.write_text("\n".join(_svg(plot, bars)) + "\n")
            written.append(path)
    return written


def _svg(plot: Plot, bars: list[tuple[str, float]]) -> Iterator[str]:
    height = TOP + len(bars) * (BAR + GAP)
    values = [max(value, 1e-3) for _, value in bars]
    far_apart = max(values) / min(values) > 50
    title = f"{plot.title} ({plot.unit}{', logarithmic' if far_apart else ''})"
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
    yield f"<title>{escape(title)}</title><style>{STYLE}</style>"
    yield f'<text class="t" x="4" y="24">{escape(title)}</text>'
    for number, ((name, value), drawn) in enumerate(zip(bars, values, strict=True)):
        yield _bar(number, name, value, _share(drawn, values, far_apart))
    yield "</svg>"


def _share(value: float, values: list[float], logarithmic: bool) -> float:
    if not logarithmic:
        return value / max(values)
    low = min(values) / 2
    return math.log(value / low) / math.log(max(values) / low)


def _bar(number: int, name: str, value: float, share: float) -> str:
    y = TOP + number * (BAR + GAP)
    length = max(1.0, share * (WIDTH - LABEL - 90))
    ours = "o" if name.startswith("llmproxy") else "b"
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return (
        f'<text x="{LABEL - 8}" y="{y + 16}" text-anchor="end">{escape(name)}</text>'
        f'<rect class="{ours}" x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3"/>'
        f'<text class="v" x="{LABEL + length + 6:.1f}" y="{y + 16}">{shown}</text>'
    )
