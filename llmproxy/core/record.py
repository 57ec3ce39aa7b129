"""What is known of one request, written once when it ends, and read by the ledger, the log and the metrics."""

from __future__ import annotations

from typing import Literal, NamedTuple

from .lifecycle import State

UsageSource = Literal["provider", "estimated", "none"]
AttemptState = Literal["opening", "open", "answered", "failed", "stopped", "lost_race", "unknown"]


class AttemptRecord(NamedTuple):
    """One call of one provider. sent: the request has gone out whole, and may be billed. Times are milliseconds."""

    number: int
    provider: str
    model: str
    state: AttemptState
    code: str | None
    sent: bool
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    ttft_ms: float | None
    duration_ms: float | None


class RequestRecord(NamedTuple):
    """One request. Times are Unix seconds, or milliseconds as their names say.

    state: `open` while it runs. status: what the client saw. closed_ms: from the stop until the provider's connection
    was closed. usage_source: who counted the tokens. The members up to tokens_per_second are the columns of the ledger.
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
    cost: float | None
    ttft_ms: float | None
    duration_ms: float | None
    closed_ms: float | None
    tokens_per_second: float | None
    stream: bool = False
    failures: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    route: str | None = None
    metric: str = "ok"  # the outcome in log and metrics
    tries: tuple[AttemptRecord, ...] = ()
