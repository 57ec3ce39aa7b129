"""Limits that several processes count together: the steps of a request as data, and the interface of the counter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from .limits import Live, Unit

Kind = Literal["rate", "parallel", "release"]
_UNITS: tuple[Unit, ...] = ("requests", "tokens")


class Step(NamedTuple):
    """One count. name: of the account and the unit. limit: per minute, or of parallel requests. member: ID of a parallel request.

    A negative amount gives some back. `release` ends a `parallel`.
    """

    kind: Kind
    name: str
    limit: float = 0.0
    amount: float = 0.0
    member: str = ""


class Taken(NamedTuple):
    """refused: number of the step that exceeds its limit; None: all were counted. wait: seconds until it may be repeated.

    states: for each step, the seconds until its bucket is full, or the number of parallel requests.
    """

    refused: int | None
    wait: float
    states: tuple[float, ...]


class Together(Protocol):
    """Counts for several processes."""

    @property
    def is_there(self) -> bool:
        """Whether the counter is available; if not, each process counts its share."""
        ...

    async def take(self, steps: Sequence[Step]) -> Taken | None:
        """Counts all steps or none. None: no answer in time."""
        ...

    def add(self, steps: Sequence[Step]) -> None:
        """Counts the steps soon, without a limit."""
        ...


def taking(live: Live, tokens: int, member: str) -> list[Step]:
    """The steps of a request with this number of tokens for one account, in the order of the checks."""
    steps = []
    if live.quota.max_parallel is not None:
        steps.append(Step("parallel", _name(live, "parallel"), live.quota.max_parallel, 1, member))
    counts: dict[Unit, int] = {"requests": 1, "tokens": tokens}
    for unit in _UNITS:
        if (limit := live.limit(unit)) is not None:
            steps.append(Step("rate", _name(live, unit), limit, counts[unit]))
    return steps


def ending(live: Live, tokens: int, member: str) -> list[Step]:
    """The steps at the end of a request. tokens: the difference to the estimate."""
    steps = []
    if live.quota.max_parallel is not None:
        steps.append(Step("release", _name(live, "parallel"), member=member))
    if tokens and (limit := live.limit("tokens")) is not None:
        steps.append(Step("rate", _name(live, "tokens"), limit, tokens))
    return steps


def unit_of(step: Step) -> str:
    return step.name.rpartition(":")[2]


def learn(live: Live, steps: Sequence[Step], states: Sequence[float], now: float) -> None:
    """Stores the state of the account's buckets, for headers, and for times in which the counter is not available."""
    full = {
        unit_of(step): now + max(0.0, state) for step, state in zip(steps, states, strict=True) if step.kind == "rate"
    }
    live.requests, live.tokens = full.get("requests", live.requests), full.get("tokens", live.tokens)


def _name(live: Live, unit: str) -> str:
    return f"{live.kind}:{live.quota.name}:{unit}"
