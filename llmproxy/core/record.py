"""Facts of one finished request, written once; the usage database, log and metrics read it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from .lifecycle import State
from .usage import Tokens, UsageSource

CacheResult = Literal["hit", "joined", "miss"]
AttemptState = Literal["opening", "open", "answered", "failed", "stopped", "lost_race", "unknown"]


class AttemptRecord(NamedTuple):
    """One call of one provider. sent: the request has gone out whole, and may be billed. Times are milliseconds.

    said_cost: dollars, as the provider says. cost_e12: in 1e-12 dollars, None where it is not known; price_id: by which price.
    provider_id: what the provider calls it.
    """

    number: int
    provider: str
    model: str
    state: AttemptState
    code: str | None
    sent: bool
    tokens: Tokens | None
    usage_source: UsageSource
    said_cost: float | None
    ttft_ms: float | None
    duration_ms: float | None
    provider_id: str | None = None
    cost_e12: int | None = None
    price_id: str | None = None


class RequestRecord(NamedTuple):
    """One request. Times are Unix seconds, or milliseconds as their names say.

    state: `open` while it runs. status: what the client saw. closed_ms: from the stop until the provider's connection
    was closed. usage_source: who counted the tokens; `cache`: none were used, the answer was another request's.
    cost_e12: of all attempts, in 1e-12 dollars; None where that is not known. group: of the key. The members up to group are
    the columns of the ledger.
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
    stream: bool = False
    failures: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    route: str | None = None
    metric: str = "ok"  # the outcome in log and metrics
    tries: tuple[AttemptRecord, ...] = ()
    queue_ms: float = 0.0  # that it waited for its turn with a provider
    cache: CacheResult | None = None  # of a request that shares answers
