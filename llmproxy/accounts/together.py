"""What a request takes of limits that several processes count together, as data; who counts it is behind a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from .limits import Live, Unit

Kind = Literal["rate", "parallel", "release"]
_UNITS: tuple[Unit, ...] = ("requests", "tokens")


class Step(NamedTuple):
    """One count. name: of whom and of what. limit: a minute, or at once. member: the request that is counted at once.

    An amount below zero gives back. `release` ends what `parallel` began.
    """

    kind: Kind
    name: str
    limit: float = 0.0
    amount: float = 0.0
    member: str = ""


class Taken(NamedTuple):
    """refused: the step that there was no room for; None: all were taken. wait: seconds until there may be.

    states: of each step: seconds until its bucket is full, or how many there are at once.
    """

    refused: int | None
    wait: float
    states: tuple[float, ...]


class Together(Protocol):
    """Counts for several processes."""

    @property
    def is_there(self) -> bool:
        """Whether it answers; while it does not, each process counts its share."""
        ...

    async def take(self, steps: Sequence[Step]) -> Taken | None:
        """Takes all or nothing. None where it does not answer in time."""
        ...

    def add(self, steps: Sequence[Step]) -> None:
        """Counts without asking, soon."""
        ...


def taking(live: Live, tokens: int, member: str) -> list[Step]:
    """What a request of so many tokens takes of one account, in the order in which it is checked."""
    steps = []
    if live.quota.max_parallel is not None:
        steps.append(Step("parallel", _name(live, "parallel"), live.quota.max_parallel, 1, member))
    counts: dict[Unit, int] = {"requests": 1, "tokens": tokens}
    for unit in _UNITS:
        if (limit := live.limit(unit)) is not None:
            steps.append(Step("rate", _name(live, unit), limit, counts[unit]))
    return steps


def ending(live: Live, tokens: int, member: str) -> list[Step]:
    """The end of a request that used so many tokens more than was thought, or fewer."""
    steps = []
    if live.quota.max_parallel is not None:
        steps.append(Step("release", _name(live, "parallel"), member=member))
    if tokens and (limit := live.limit("tokens")) is not None:
        steps.append(Step("rate", _name(live, "tokens"), limit, tokens))
    return steps


def unit_of(step: Step) -> str:
    return step.name.rpartition(":")[2]


def learn(live: Live, steps: Sequence[Step], states: Sequence[float], now: float) -> None:
    """Notes how the account's buckets stand, for headers and for the time in which nobody can be asked."""
    full = {
        unit_of(step): now + max(0.0, state) for step, state in zip(steps, states, strict=True) if step.kind == "rate"
    }
    live.requests, live.tokens = full.get("requests", live.requests), full.get("tokens", live.tokens)


def _name(live: Live, unit: str) -> str:
    return f"{live.kind}:{live.quota.name}:{unit}"
