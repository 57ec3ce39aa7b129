"""Keeps the replay buffers of finished requests for a while, so that clients can resume."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from llmproxy.config import Limits
from llmproxy.observe.periodic import attempt

from .registry import RequestRegistry

TAPES_BYTES = 64 * 1024 * 1024  # of the replay buffers of all finished requests


def keep_tapes(registry: RequestRegistry, limits: Limits) -> None:
    """Must be called when a request with a replay buffer has ended."""
    _forget(registry, limits)
    forget = partial(_forget, registry, limits)
    asyncio.get_running_loop().call_later(limits.detached_seconds + 1, attempt, forget, "replay_retention")


def _forget(registry: RequestRegistry, limits: Limits) -> None:
    """Removes old replay buffers, and the oldest ones if all together are too large."""
    oldest = time.monotonic() - limits.detached_seconds
    stack = TAPES_BYTES
    for running in registry.recent():
        if running.buffer is not None and running.ended is not None:
            stack -= running.buffer.size
            if stack < 0 or running.ended < oldest:
                running.buffer = None
