"""Where a worker stands among the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """One worker's place among its peers. `lifeline` reads as closed once the supervisor is gone."""

    number: int
    count: int
    folder: Path
    token: str
    lifeline: int

    @property
    def address(self) -> Path:
        return self.folder / f"{self.number}.sock"

    def others(self) -> list[Path]:
        return [self.folder / f"{number}.sock" for number in range(self.count) if number != self.number]
