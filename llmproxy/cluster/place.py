"""Position of a worker among the workers of one machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """One worker's place among its neighbours.

    token: by which they know each other. instance: of the gateway that they are together. `lifeline` reads as closed once
    the supervisor is gone.
    """

    number: int
    count: int
    folder: Path
    token: str
    lifeline: int
    instance: str = ""

    @property
    def address(self) -> Path:
        return self.folder / f"{self.number}.sock"

    def others(self) -> dict[int, Path]:
        """The other workers' sockets by their numbers."""
        return {number: self.folder / f"{number}.sock" for number in range(self.count) if number != self.number}
