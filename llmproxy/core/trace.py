"""What has happened to a request so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from .lifecycle import Phase


@dataclass(slots=True)
class Trace:
    """What has happened to one request so far: written by those who carry it, read by whoever is asked about it."""

    id: str = ""
    created: int = 0  # Unix seconds when the gateway took it in
    phase: Phase = "queued"
    provider: str | None = None
    model: str | None = None
    attempts: int = 0
    route: str | None = None  # why the router chose what it chose
    dropped: list[str] = field(default_factory=list)  # parameters the provider could not be given
    deadline: float | None = None  # on the event loop's clock
    wait: float = 0.0  # seconds of the current backoff
    position: int | None = None  # place in an upstream's queue
    failures: list[str] = field(default_factory=list)  # codes of the attempts that failed
