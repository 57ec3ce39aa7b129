"""Measured values by size, as Markdown and as plots with logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from ..plot import STYLE

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 320, 60, 220, 44, 36
COLOURS = ("#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#57606a")


@dataclass(slots=True)
class Curve:
    """name: of the file. of: what the sizes count. lines: by name, the value at each size, in the unit."""

    name: str
    title: str
    of: str
    unit: str = "ms"
    lines: dict[str, dict[int, float]] = field(default_factory=dict)

    def add(self, line: str, size: int, value: float) -> None:
        self.lines.setdefault(line, {})[size] = value

    @property
    def sizes(self) -> list[int]:
        return sorted({size for values in self.lines.values() for size in values})

    def as_dict(self) -> dict[str, object]:
        lines = {line: {str(size): value for size, value in values.items()} for line, values in self.lines.items()}
        return {"name": self.name, "title": self.title, "of": self.of, "unit": self.unit, "lines": lines}


def table(curve: Curve) -> str:
    heads = [f"{curve.title} ({curve.unit})", *(f"{size:,} {curve.of}" for size in curve.sizes)]
    rows = [[line, *(_shown(values.get(size)) for size in curve.sizes)] for line, values in curve.lines.items()]
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def write(curves: list[Curve], directory: Path) -> list[Path]:
    """An SVG for each curve."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for curve in curves:
        path = directory / f"growth-{curve.name}.svg"
        path.write_text("\n".join(_svg(curve)) + "\n")
        written.append(path)
    return written


def _svg(curve: Curve) -> Iterator[str]:
    title = f"{curve.title} ({curve.unit}, both axes logarithmic)"
    values = [max(value, 1e-3) for line in curve.lines.values() for value in line.values()]
    low, high = math.log10(min(values)), math.log10(max(values))
    first, last = math.log10(curve.sizes[0]), math.log10(curve.sizes[-1])

    def place(size: int, value: float) -> tuple[float, float]:
        x = (math.log10(size) - first) / max(last - first, 1e-9)
        y = (math.log10(max(value, 1e-3)) - low) / max(high - low, 0.5)
        return LEFT + x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM)

    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">'
    yield f"<title>{escape(title)}</title><style>{STYLE}</style><text class='t' x='4' y='24'>{escape(title)}</text>"
    for size in curve.sizes:
        yield f"<text class='v' x='{place(size, 10**low)[0]:.0f}' y='{HEIGHT - 12}' text-anchor='middle'>{size:,}</text>"
    for (name, points), colour in zip(curve.lines.items(), COLOURS * 3, strict=False):
        places = [place(size, value) for size, value in sorted(points.items())]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        (x, y), value = places[-1], _shown(points[max(points)])
        yield f"<polyline points='{drawn}' fill='none' stroke='{colour}' stroke-width='2'/>"
        yield f"<text x='{x + 8:.0f}' y='{y + 4:.0f}' style='fill:{colour}'>{escape(name)} {value}</text>"
    yield "</svg>"
