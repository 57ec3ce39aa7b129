"""Rate limiting by the generic cell rate algorithm (GCRA), as pure functions of one number and the time.

The number is the time at which the bucket is full again. A full bucket holds the amount of a whole minute.
"""

from __future__ import annotations

MINUTE = 60.0


def wait(full_at: float, now: float, per_minute: float, count: float) -> float:
    """Seconds until `count` may be taken; 0: now. A larger amount than the bucket may be taken when the bucket is full."""
    needed = MINUTE if count > per_minute else count * MINUTE / per_minute
    lacking = full_at - now + needed - MINUTE if full_at > now else needed - MINUTE
    return lacking if lacking > 0 else 0.0


def taken(full_at: float, now: float, per_minute: float, count: float) -> float:
    """The time at which it is full again after `count` were taken. A negative count gives some back."""
    return (full_at if full_at > now else now) + count * MINUTE / per_minute


def left(full_at: float, now: float, per_minute: float) -> tuple[int, float]:
    """How many may be taken now, and the seconds until it is full."""
    if full_at <= now:
        return int(per_minute + 1e-9), 0.0
    used = full_at - now
    return int((MINUTE - used) * per_minute / MINUTE + 1e-9) if used < MINUTE else 0, used


def duration(seconds: float) -> str:
    """In the form of OpenAI's headers: `120ms`, `1.5s`, `6m0s`, `1h2m3s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    minutes, rest = divmod(seconds, 60)
    if not minutes:
        return f"{round(rest, 3):g}s"
    hours, minutes = divmod(int(minutes), 60)
    return (f"{hours}h" if hours else "") + f"{minutes}m{int(rest)}s"
