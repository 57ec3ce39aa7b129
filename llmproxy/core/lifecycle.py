"""The life cycle of a request as tables: the transitions between phases, and what each outcome means.

Main rule: **the outcome is fixed when the end is made**, that is when the terminator or the error event is handed to
the writer or the buffer. From then on the phase is `finishing`. A stop changes nothing any more; its caller waits and
reads the outcome. `docs/design.md` has the reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Phase = Literal["received", "held", "queued", "connecting", "waiting", "backing_off", "streaming", "finishing", "ended"]
Event = Literal[
    "start", "must_wait", "granted", "enqueue", "dial", "sent", "first_frame", "frame", "retry_later", "end_made",
    "kept", "told",
]  # fmt: skip
State = Literal["running", "completed", "cancelled", "failed", "lost"]
MessageState = Literal["complete", "stopped", "failed", "streaming", "lost"]

_OPENING: Mapping[Event, Phase] = {"enqueue": "queued", "dial": "connecting", "retry_later": "backing_off"}

# A pair that is not listed is a fault in the gateway: the request fails with `internal_error`, and the pair is logged.
PROGRESS: Mapping[Phase, Mapping[Event, Phase]] = {
    "received": {"start": "received", "must_wait": "held", **_OPENING},
    "held": {"granted": "received"},
    "queued": _OPENING,
    "connecting": {**_OPENING, "sent": "waiting", "first_frame": "streaming"},
    # sent again, because the reused connection was closed
    "waiting": {**_OPENING, "sent": "waiting", "first_frame": "streaming"},
    "backing_off": _OPENING,
    "streaming": {
        "must_wait": "streaming", "granted": "streaming", "frame": "streaming", "end_made": "finishing",
    },
    "finishing": {"frame": "finishing", "kept": "finishing", "told": "ended"},
    "ended": {"told": "ended"},
}  # fmt: skip

# If several attempts run at the same time, the request shows the phase that is furthest.
_ORDER: tuple[Phase, ...] = ("received", "held", "backing_off", "queued", "connecting", "waiting", "streaming")
RANK: Mapping[Phase, int] = {phase: rank for rank, phase in enumerate((*_ORDER, "finishing", "ended"))}

SHOWN: Mapping[Phase, str | None] = {"received": "queued", "ended": None}  # other names in the API


class Outcome(NamedTuple):
    """How a request ended. All users of a request's state read it from here.

    status: for the client, if no status was sent before. code: of its error. metric: the outcome in log and metrics.
    message: the state of the answer in a thread. say: the error text, if it is always the same.
    """

    state: State
    stopped_by: str | None
    code: str | None
    status: int
    metric: str
    message: MessageState
    say: str = ""


def _stopped(by: str, say: str) -> Outcome:
    return Outcome("cancelled", by, "request_cancelled", 499, "cancelled", "stopped", say)


COMPLETED = Outcome("completed", None, None, 200, "ok", "complete")
FAILED = Outcome("failed", None, None, 502, "failed", "failed")  # code and status come from the error
LOST = Outcome("lost", None, "answer_lost", 200, "lost", "lost")
STOPPED: Mapping[str, Outcome] = {
    one.stopped_by or "": one
    for one in (
        _stopped("api", "The request was cancelled."),
        _stopped("admin", "An administrator stopped the request."),
        _stopped("key_revoked", "The request's API key was revoked."),
        _stopped("thread_deleted", "The request's thread was deleted."),
        _stopped("client_disconnect", "The client left."),
        _stopped("slow_reader", "The client stopped reading."),
        Outcome(
            "cancelled", "deadline", "deadline_exceeded", 504, "cancelled", "failed",
            "The request exceeded its deadline ([limits] deadline, or X-LLMProxy-Timeout).",
        ),
        Outcome(
            "cancelled", "drain", "server_shutting_down", 503, "cancelled", "stopped", "The gateway is shutting down."
        ),
        Outcome(
            "cancelled", "budget", "insufficient_quota", 429, "budget", "failed", "The budget of this key is used up."
        ),
        Outcome(
            "cancelled", "budget_unavailable", "budget_unavailable", 503, "budget", "failed",
            "The answer needs more of the key's budget than was reserved, and the database of budgets cannot be reached.",
        ),
    )
}  # fmt: skip


def failed(code: str | None, status: int) -> Outcome:
    """The outcome of a request that was refused, failed or raised an internal error."""
    return FAILED._replace(code=code, status=status, metric="truncated" if code == "upstream_truncated" else "failed")
