"""What a run found: rows of numbers, their medians, what was added over `direct`, and the file they are kept in."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .targets import CACHE, ROOT

Metrics = dict[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """The medians of one target in one scenario at one level. `repeats` are the single repetitions."""

    scenario: str
    level: str
    target: str
    metrics: Metrics
    repeats: list[Metrics]


@dataclass(slots=True)
class Results:
    """Everything of one run. Rows keep the order in which their first repetition was recorded."""

    machine: dict[str, object]
    notes: list[str] = field(default_factory=list)
    _repeats: dict[tuple[str, str, str], list[Metrics]] = field(default_factory=dict)

    def record(self, scenario: str, level: str, target: str, metrics: Metrics) -> None:
        self._repeats.setdefault((scenario, level, target), []).append(metrics)

    def rows(self) -> list[Row]:
        return [Row(*where, self._medians(where), repeats) for where, repeats in self._repeats.items()]

    def value(self, scenario: str, level: str, target: str, metric: str) -> float | None:
        """A median, or None where it was not measured."""
        return self._medians((scenario, level, target)).get(metric)

    def _medians(self, where: tuple[str, str, str]) -> Metrics:
        repeats = self._repeats.get(where, [])
        names = dict.fromkeys(name for metrics in repeats for name in metrics)
        medians = {name: statistics.median(one[name] for one in repeats if name in one) for name in names}
        return {**medians, **self._added(where, medians)}

    def _added(self, where: tuple[str, str, str], medians: Metrics) -> Metrics:
        scenario, level, target = where
        if target == "direct":
            return {}
        names = [name for name in ("p50_ms", "p99_ms") if name in medians]
        direct = {name: self.value(scenario, level, "direct", name) for name in names}
        return {f"added_{name}": medians[name] - base for name, base in direct.items() if base is not None}

    def as_json(self) -> dict[str, Any]:
        names = ("scenario", "level", "target")
        rows = [
            {**dict(zip(names, where, strict=True)), "repeats": repeats} for where, repeats in self._repeats.items()
        ]
        return {"machine": self.machine, "notes": self.notes, "rows": rows}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Results:
        results = cls(data["machine"], data["notes"])
        for row in data["rows"]:
            for metrics in row["repeats"]:
                results.record(row["scenario"], row["level"], row["target"], metrics)
        return results

    def keep(self) -> Path:
        """Writes the run where later ones find it; its path."""
        CACHE.mkdir(parents=True, exist_ok=True)
        path = CACHE / time.strftime("run-%Y%m%d-%H%M%S.json")
        path.write_text(json.dumps(self.as_json(), indent=1))
        return path


def load(path: Path) -> Results:
    return Results.from_json(json.loads(path.read_text()))


def kept() -> list[Path]:
    """The runs that were kept, oldest first."""
    return sorted(CACHE.glob("run-*.json"))


def commit() -> str:
    """The commit that is measured, with `+` if files differ from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
