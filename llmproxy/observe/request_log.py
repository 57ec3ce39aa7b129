"""What is known of a request once it has ended: one log line, one row of the ledger, and the totals since the start."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmproxy.requests.registry import Inflight, Running

from .log import log
from .periodic import attempt

if TYPE_CHECKING:
    from llmproxy.store import Store


_SWEEP = 0.05  # seconds a request may run before it is noted down as open
_SERIES = 500
_TOLD = (
    "id", "face", "model", "provider", "provider_model", "attempts", "status", "ttft_ms", "duration_ms", "tokens_in", "tokens_out",
)  # fmt: skip
_OUTCOMES = {"completed": "ok", "cancelled": "cancelled", "failed": "failed"}


@dataclass(slots=True)
class Totals:
    """Of one provider's model and one outcome, since the process started. Times in seconds."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    first_frame_seconds: float = 0.0
    retries: int = 0


@dataclass(slots=True)
class Observer:
    """Told of every request's start and end. `store` opens the ledger at its first use; None keeps none."""

    store: Callable[[], Store] | None = None
    totals: dict[tuple[str, str, str], Totals] = field(default_factory=lambda: defaultdict(Totals))
    inflight: Inflight | None = None
    _sweep: asyncio.TimerHandle | None = None
    _noted: set[str] = field(default_factory=set)

    def started(self) -> None:
        """Those that are still running in a moment are noted down as open; the quick ones cost one row."""
        if self.store is not None and self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(_SWEEP, attempt, self._note_open, "open_requests")

    def ended(self, running: Running) -> None:
        row = _row(running)
        facts = _facts(running, row)
        log.info("request", **facts)
        totals = self.totals[self._label(facts)]
        totals.requests += 1
        totals.retries += max(0, row["attempts"] - 1)
        totals.tokens_in += row["tokens_in"] or 0
        totals.tokens_out += row["tokens_out"] or 0
        totals.seconds += row["duration_ms"] / 1000
        totals.first_frame_seconds += (row["ttft_ms"] or 0) / 1000
        if self.store is not None:
            self._noted.discard(running.id)
            self.store().note(row)

    def _label(self, facts: dict[str, Any]) -> tuple[str, str, str]:
        """Names that clients may make up must not become series without bound."""
        label = (facts["provider"] or "", facts["provider_model"] or "", facts["outcome"])
        return label if label in self.totals or len(self.totals) < _SERIES else (label[0], "other", label[2])

    def _note_open(self) -> None:
        self._sweep = None
        if self.inflight is None:
            return
        now = time.monotonic()
        fresh = [one for one in self.inflight if one.id not in self._noted]
        old = [one for one in fresh if now - one.started >= _SWEEP / 2]
        self._noted.update(one.id for one in old)
        if self.store is not None:
            store = self.store()
            for one in old:
                store.note(_row(one))
        if len(old) < len(fresh):
            self.started()


def _facts(running: Running, row: dict[str, Any]) -> dict[str, Any]:
    """The log line, of a request that has ended: numbers and names, never a key, never what was said."""
    code = row["code"]
    facts = {name: row[name] for name in _TOLD}
    facts["outcome"] = "truncated" if code == "upstream_truncated" else _OUTCOMES[running.state]
    facts["stream"] = running.stream
    if row["usage_source"] == "estimated":
        facts["estimated"] = True
    if running.by:
        facts["by"], facts["closed_ms"] = running.by, row["closed_ms"]
    if code:
        facts["code"] = code
    if running.owner:
        facts["owner"] = running.owner
    trace = running.trace
    for name, value in (("failures", trace.failures), ("dropped", trace.dropped), ("route", trace.route)):
        if value:
            facts[name] = value
    return facts


def _row(running: Running) -> dict[str, Any]:
    """The ledger's row, of a request that runs or has ended."""
    trace, usage = running.trace, running.usage
    tokens, estimated = running.tokens
    ttft, duration = _ms(running.first_frame, running.started), _ms(running.ended, running.started)
    flowing = (duration - ttft) / 1000 if duration is not None and ttft is not None else 0.0
    return {
        "opened_at": running.started_at,
        "id": running.id,
        "owner": running.owner,
        "face": running.face,
        "state": "open" if running.state == "running" else running.state,
        "stopped_by": running.by,
        "closed_at": time.time() if running.ended is not None else None,
        "model": running.model[:200],
        "provider": trace.provider,
        "provider_model": trace.model,
        "attempts": trace.attempts,
        "status": running.status if running.ended is not None else None,
        "code": running.error.code if running.error is not None else None,
        "tokens_in": usage.prompt if usage is not None else None,
        "tokens_out": tokens if tokens or usage is not None else None,
        "tokens_reasoning": usage.reasoning if usage is not None else None,
        "tokens_cached": usage.cached if usage is not None else None,
        "usage_source": "provider" if usage is not None and not estimated else "estimated" if tokens else "none",
        "cost": usage.cost if usage is not None else None,
        "ttft_ms": ttft,
        "duration_ms": duration,
        "closed_ms": running.closed_ms,
        "tokens_per_second": round(tokens / flowing, 1) if running.stream and tokens and flowing > 0.01 else None,
    }


def _ms(until: float | None, since: float) -> float | None:
    return round((until - since) * 1000, 2) if until is not None else None
