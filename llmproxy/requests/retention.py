"""How long the tapes of requests that have ended are kept for those who come back."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from llmproxy.config import Limits
from llmproxy.observe.periodic import attempt

from .registry import Inflight

TAPES_BYTES = 64 * 1024 * 1024  # of all the tapes of requests that have ended


def keep_tapes(inflight: Inflight, limits: Limits) -> None:
    """To be called when a request with a tape has ended."""
    _forget(inflight, limits)
    forget = partial(_forget, inflight, limits)
    asyncio.get_running_loop().call_later(limits.detached_seconds + 1, attempt, forget, "replay_retention")


def _forget(inflight: Inflight, limits: Limits) -> None:
    """Lets go of tapes that ended long ago, and of the oldest where all together are too large."""
    oldest = time.monotonic() - limits.detached_seconds
    room = TAPES_BYTES
    for running in inflight.recent():
        if running.tape is not None and running.ended is not None:
            room -= running.tape.size
            if room < 0 or running.ended < oldest:
                running.tape = None
