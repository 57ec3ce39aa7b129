"""Writes the record of a request that runs or has ended."""

from __future__ import annotations

import time

from llmproxy.core.record import RequestRecord
from llmproxy.core.usage import UsageSource

from .running import Running


def record(running: Running) -> RequestRecord:
    """The record as it is now; final once the request has ended."""
    trace, usage = running.trace, running.usage
    tokens, estimated = running.tokens
    ended = running.ended is not None
    ttft, duration = _ms(running.first_frame, running.started), _ms(running.ended, running.started)
    given = trace.cache in ("hit", "joined")
    flowing = (duration - ttft) / 1000 if duration is not None and ttft is not None else 0.0
    return RequestRecord(
        opened_at=running.started_at,
        id=running.id,
        owner=running.owner,
        face=running.face,
        state="open" if running.ended is None else running.state,
        stopped_by=running.by,
        closed_at=time.time() if ended else None,
        model=running.model[:200],
        provider=trace.provider,
        provider_model=trace.model,
        attempts=trace.attempts,
        status=running.status if ended else None,
        code=running.error.code if running.error is not None else None,
        tokens_in=usage.prompt if usage is not None else None,
        tokens_out=tokens if tokens or usage is not None else None,
        tokens_reasoning=usage.reasoning if usage is not None else None,
        tokens_cached=usage.cached if usage is not None else None,
        usage_source="cache" if given else _source(usage is not None and not estimated, tokens),
        cost_e12=0 if given else None,
        ttft_ms=ttft,
        duration_ms=duration,
        closed_ms=running.closed_ms,
        tokens_per_second=round(tokens / flowing, 1) if running.stream and tokens and flowing > 0.01 else None,
        group=trace.group,
        stream=running.stream,
        failures=tuple(trace.failures),
        dropped=tuple(trace.dropped),
        route=trace.route,
        metric=running.outcome.metric if running.outcome is not None else "open",
        tries=tuple([one.record() for one in trace.tries]),
        queue_ms=round(trace.queued * 1000, 2),
        cache=trace.cache,
    )


def _source(counted: bool, tokens: int) -> UsageSource:
    return "provider" if counted else "estimated" if tokens else "none"


def _ms(until: float | None, since: float) -> float | None:
    return round((until - since) * 1000, 2) if until is not None else None
