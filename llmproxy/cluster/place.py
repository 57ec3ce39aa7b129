"""Position of a worker among the workers of one machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """One worker of several on one machine.

    number: 0 to count - 1. folder: where the workers' sockets are. token: the secret shared by the workers. lifeline: the read end
    of a pipe, which is closed when the supervisor ends. instance: the ID of the gateway that the workers form together.
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
