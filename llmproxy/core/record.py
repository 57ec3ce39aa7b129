"""Facts of one finished request, written once; the usage database, log and metrics read it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from .lifecycle import State
from .usage import Tokens, UsageSource

CacheResult = Literal["hit", "joined", "miss"]
AttemptState = Literal["opening", "open", "answered", "failed", "stopped", "lost_race", "unknown"]


class AttemptRecord(NamedTuple):
    """One call of one provider. sent: the request was sent completely and may be billed. Times are milliseconds.

    reported_cost: dollars, as the provider reports. cost_e12: in 1e-12 dollars, None if unknown; price_id: the price that
    was used. provider_id: the provider's ID of the answer.
    """

    number: int
    provider: str
    model: str
    state: AttemptState
    code: str | None
    sent: bool
    tokens: Tokens | None
    usage_source: UsageSource
    reported_cost: float | None
    ttft_ms: float | None
    duration_ms: float | None
    provider_id: str | None = None
    cost_e12: int | None = None
    price_id: str | None = None

    @property
    def is_unpriced(self) -> bool:
        """Whether tokens were counted that have no price."""
        return self.cost_e12 is None and self.tokens is not None and any(self.tokens)


class RequestRecord(NamedTuple):
    """One request. Times are Unix seconds, or milliseconds if the name says so.

    state: `open` while it runs. status: the client's. closed_ms: from the stop until the provider's connection was
    closed. usage_source: who counted the tokens; `cache`: none were used, because the answer was shared with another
    request. cost_e12: of all attempts, in 1e-12 dollars; None if unknown. group: of the key. uid: a second ID that
    names the process. The members up to uid are the columns of the usage database.
    """

    opened_at: float
    id: str
    owner: str
    face: str
    state: State | Literal["open"]
    stopped_by: str | None
    closed_at: float | None
    model: str
    provider: str | None
    provider_model: str | None
    attempts: int
    status: int | None
    code: str | None
    tokens_in: int | None
    tokens_out: int | None
    tokens_reasoning: int | None
    tokens_cached: int | None
    usage_source: UsageSource
    cost_e12: int | None
    ttft_ms: float | None
    duration_ms: float | None
    closed_ms: float | None
    tokens_per_second: float | None
    group: str = ""
    uid: str = ""
    stream: bool = False
    failures: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    route: str | None = None
    metric: str = "ok"  # the outcome in log and metrics
    tries: tuple[AttemptRecord, ...] = ()
    queue_ms: float = 0.0  # time in the queue of a provider
    cache: CacheResult | None = None  # set if the request may share answers
