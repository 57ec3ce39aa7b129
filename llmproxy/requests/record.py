"""Makes the record of a running or finished request."""

from __future__ import annotations

import time
from typing import Protocol

from llmproxy.core.record import AttemptRecord, RequestRecord
from llmproxy.core.trace import Attempt

from .running import Running


class Costs(Protocol):
    def cost(self, one: Attempt, at: float) -> tuple[int | None, str | None]:
        """Cost of an attempt in 1e-12 dollars, and the ID of its price. at: Unix seconds."""
        ...


def record(running: Running, costs: Costs | None = None) -> RequestRecord:
    """The record at this moment; final after the request has ended. Without `costs`, its cost is not computed."""
    trace, usage = running.trace, running.usage
    tokens, estimated = running.tokens
    counted = usage is not None and not estimated
    ended, outcome = running.ended is not None, running.outcome
    ttft, duration = _ms(running.first_frame, running.started), _ms(running.ended, running.started)
    given = trace.cache in ("hit", "joined")
    tries, cost = _tries(running, costs)
    flowing = (duration - ttft) / 1000 if duration is not None and ttft is not None else 0.0
    return RequestRecord(
        opened_at=running.started_at,
        id=running.id,
        owner=running.owner,
        face=running.face,
        state="open" if running.ended is None else "running" if outcome is None else outcome.state,
        stopped_by=outcome.stopped_by if outcome is not None else None,
        closed_at=time.time() if ended else None,
        model=running.model[:200],
        provider=trace.provider,
        provider_model=trace.model,
        attempts=trace.attempts,
        status=outcome.status if outcome is not None and ended else None,
        code=running.error.code if running.error is not None else None,
        tokens_in=usage.prompt if usage is not None else None,
        tokens_out=tokens if tokens or usage is not None else None,
        tokens_reasoning=usage.reasoning if usage is not None else None,
        tokens_cached=usage.cached if usage is not None else None,
        usage_source="cache" if given else "provider" if counted else "estimated" if tokens else "none",
        cost_e12=0 if given and (costs is None or not tries) else cost,
        ttft_ms=ttft,
        duration_ms=duration,
        closed_ms=running.closed_ms if running.asked_to_stop is not None else None,
        tokens_per_second=round(tokens / flowing, 1) if running.stream and tokens and flowing > 0.01 else None,
        group=trace.group,
        uid=running.uid,
        stream=running.stream,
        failures=tuple(trace.failures),
        dropped=tuple(trace.dropped),
        route=trace.route,
        metric=outcome.metric if outcome is not None else "open",
        tries=tries,
        queue_ms=round(trace.queued * 1000, 2) if trace.queued else 0.0,
        cache=trace.cache,
    )


def _tries(running: Running, costs: Costs | None) -> tuple[tuple[AttemptRecord, ...], int | None]:
    """The records of the attempts, and the sum of their costs. If one cost is unknown, the sum is unknown."""
    tries: tuple[AttemptRecord, ...] = ()
    total, known, unpriced = 0, False, costs is None
    for one in running.trace.tries:
        cost, price = costs.cost(one, running.started_at) if costs is not None else (one.cost_e12, one.price_id)
        attempt = one.record(cost, price)
        tries += (attempt,)
        if cost is not None:
            total, known = total + cost, True
        else:
            unpriced = unpriced or attempt.is_unpriced
    return tries, total if known and not unpriced else None


def _ms(until: float | None, since: float) -> float | None:
    return round((until - since) * 1000, 2) if until is not None else None
