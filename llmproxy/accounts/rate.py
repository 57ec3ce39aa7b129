"""Rate limiting by the generic cell rate algorithm (GCRA), as pure functions of one number and the time.

The number is when the bucket will be full again. A full bucket holds a whole minute's worth.
"""

from __future__ import annotations

MINUTE = 60.0


def wait(full_at: float, now: float, per_minute: float, count: float) -> float:
    """Seconds until `count` may be taken; 0 is now. What is larger than the bucket may go when it is full."""
    needed = min(count, per_minute) * MINUTE / per_minute
    return max(0.0, max(full_at, now) + needed - MINUTE - now)


def taken(full_at: float, now: float, per_minute: float, count: float) -> float:
    """When it will be full again after `count` were taken. A negative count gives back."""
    return max(full_at, now) + count * MINUTE / per_minute


def remaining(full_at: float, now: float, per_minute: float) -> int:
    """How many may be taken now."""
    return max(0, int((MINUTE - max(0.0, full_at - now)) * per_minute / MINUTE + 1e-9))


def reset(full_at: float, now: float) -> float:
    """Seconds until it is full."""
    return max(0.0, full_at - now)


def duration(seconds: float) -> str:
    """As OpenAI's headers say it: `120ms`, `1.5s`, `6m0s`, `1h2m3s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    if not minutes:
        return f"{round(rest, 3):g}s"
    hours, minutes = divmod(int(minutes), 60)
    return (f"{hours}h" if hours else "") + f"{minutes}m{int(rest)}s"
