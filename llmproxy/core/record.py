"""What is known of one request, written once when it ends, and read by the ledger, the log and the metrics."""

from __future__ import annotations

from typing import Literal, NamedTuple

UsageSource = Literal["provider", "estimated", "none"]


class RequestRecord(NamedTuple):
    """One request. Times are Unix seconds, or milliseconds as their names say.

    state: `open` while it runs. status: what the client saw. closed_ms: from the stop until the provider's connection
    was closed. usage_source: who counted the tokens. The members up to tokens_per_second are the columns of the ledger.
    """

    opened_at: float
    id: str
    owner: str
    face: str
    state: Literal["open", "completed", "cancelled", "failed", "lost"]
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
