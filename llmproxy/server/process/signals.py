"""Calls functions in the event loop on signals."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress


def on_signal(loop: asyncio.AbstractEventLoop, number: int, action: Callable[[], object]) -> None:
    """Calls `action` in the event loop at every such signal. After the loop has ended the signal has no effect.

    Not with the loop's own handlers: it removes them when it is closed, and then the next signal would end the process with
    the signal's exit code, although its work is done. Windows' loop has none.
    """

    def call(*_: object) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(action)

    signal.signal(number, call)


def ignore_signals(numbers: Iterable[int]) -> None:
    """Ignores these signals until the process has ended. At its end Python removes handlers, but keeps what is ignored."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
