"""Calls functions in the event loop on signals, also on Windows, where the loop cannot."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


def on_signal(loop: asyncio.AbstractEventLoop, number: int, action: Callable[[], object]) -> None:
    """Calls `action` in the loop at every such signal."""
    try:
        loop.add_signal_handler(number, action)
    except NotImplementedError:
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(action))
