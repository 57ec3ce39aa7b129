"""The flight record of a request as one JSON document. Its schema is in docs/api.md."""

from __future__ import annotations

import time
from collections.abc import Callable

from llmproxy.core.chat import Json
from llmproxy.core.flight import Gaps, Wait
from llmproxy.core.lifecycle import SHOWN
from llmproxy.core.trace import Attempt
from llmproxy.core.usage import DOLLAR

from .running import Running

SCHEMA = 1
_SHORTEST = 0.001  # seconds; shorter waits are not shown
_TEXT = 200  # characters of a name

Rate = Callable[
    [str, str, int], int | None
]  # (provider, model, input tokens): price of an output token in 1e-12 dollars


def flight_record(running: Running, rate: Rate) -> Json:
    """All times are milliseconds since the request began; null if not reached or unknown."""
    trace, start = running.trace, running.started
    return {
        "object": "request.trace",
        "schema": SCHEMA,
        "id": running.id,
        "owner": running.owner or None,
        "dialect": running.face,
        "model": running.model[:_TEXT],
        "stream": running.stream,
        "state": running.state,
        "phase": SHOWN.get(running.phase, running.phase),
        "by": running.by,
        "status": running.status if running.outcome is not None else None,
        "code": running.error.code if running.error is not None else None,
        "route": trace.route[:_TEXT] if trace.route else None,
        "dropped": trace.dropped[:32],
        "started_at": running.started_at,
        "now_ms": _ms(running.ended or time.monotonic(), start),
        "first_frame_ms": _ms(running.first_frame, start),
        "end_ms": _ms(running.ended, start),
        "bytes": {"in": running.bytes_in, "out": running.bytes_out},
        "waits": [_wait(one, start) for one in trace.waits if _counts(one)],
        "attempts": [_attempt(one, start) for one in list(trace.tries)],
        "attempts_left_out": running.tries_left_out,
        "stop": _stop(running, rate),
        "content": _content(running),
    }


def _counts(wait: Wait) -> bool:
    return wait.ended is None or wait.ended - wait.began >= _SHORTEST


def _wait(wait: Wait, start: float) -> Json:
    return {
        "kind": wait.kind,
        "start_ms": _ms(wait.began, start),
        "end_ms": _ms(wait.ended, start),
        "code": wait.code,
    }


def _attempt(one: Attempt, start: float) -> Json:
    return {
        "number": one.number,
        "why": one.why,
        "provider": one.provider[:_TEXT],
        "model": one.model[:_TEXT],
        "state": one.state,
        "code": one.code,
        "status": one.status,
        "start_ms": _ms(one.started, start),
        "sent_ms": _ms(one.sent_at, start),
        "headers_ms": _ms(one.headers_at, start),
        "first_frame_ms": _ms(one.first_frame, start),
        "end_ms": _ms(one.ended, start),
        "reused": one.reused,
        "asks": one.asks,
        "bytes": {"out": one.bytes_out, "in": one.bytes_in},
        "gaps": _gaps(one.gaps, start),
        "tokens": one.tokens._asdict() if one.tokens else None,
        "usage_source": one.usage_source,
        "provider_id": one.provider_id[:_TEXT] if one.provider_id else None,
    }


def _gaps(gaps: Gaps | None, start: float) -> Json | None:
    if gaps is None:
        return None
    longest = [{"start_ms": _ms(began, start), "ms": _ms(seconds, 0)} for seconds, began in gaps.longest]
    return {"count": gaps.count, "ms": _ms(gaps.seconds, 0), "longest": longest}


def _stop(running: Running, rate: Rate) -> Json | None:
    """A stop as it was measured, and the most that it can have saved. None if the request was not stopped."""
    if running.asked_to_stop is None:
        return None
    tokens, estimated = _unwritten(running.trace.tries)
    return {
        "by": running.by,
        "at_ms": _ms(running.asked_to_stop, running.started),
        "closed_ms": running.closed_ms,
        "asked_provider": any(one.sent for one in running.trace.tries),
        "tokens_not_written_at_most": tokens,
        "estimated": estimated,
        "cost_not_spent_at_most": _saved(running.trace.tries, rate),
    }


def _stopped(tries: list[Attempt]) -> list[Attempt]:
    return [one for one in tries if one.state == "stopped" and one.sent]


def _left(one: Attempt) -> int | None:
    """Output tokens that the attempt could still have written; None if the client set no limit."""
    written = one.tokens.completion if one.tokens is not None else 0
    return max(0, one.most_tokens - written) if one.most_tokens is not None else None


def _unwritten(tries: list[Attempt]) -> tuple[int | None, bool]:
    """For all stopped attempts, and whether the number of written tokens is an estimate."""
    left = [_left(one) for one in _stopped(tries)]
    known = [one for one in left if one is not None]
    tokens = sum(known) if known and len(known) == len(left) else None
    return tokens, any(one.usage_source == "estimated" for one in _stopped(tries))


def _saved(tries: list[Attempt], rate: Rate) -> float | None:
    """Dollars; None if a limit or a price is unknown."""
    total = 0
    for one in _stopped(tries):
        tokens = _left(one)
        price = rate(one.provider, one.model, one.tokens.prompt if one.tokens is not None else 0)
        if tokens is None or price is None:
            return None
        total += tokens * price
    return total / DOLLAR if _stopped(tries) else None


def _content(running: Running) -> Json | None:
    content = running.trace.content
    if content is None or not content.most:
        return None
    return {
        "question": content.question[: content.most].decode("utf-8", "replace"),
        "answer": bytes(content.answer[: content.most]).decode("utf-8", "replace"),
        "most_bytes": content.most,
    }


def _ms(until: float | None, since: float) -> float | None:
    return round((until - since) * 1000, 2) if until is not None else None
