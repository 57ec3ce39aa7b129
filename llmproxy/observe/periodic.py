"""Runs periodic jobs in the event loop; a failure is logged and counted, and the next run still happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .log import log

failures: Counter[str] = Counter()  # of this process, by the job's name; shown in /metrics


@contextmanager
def every(seconds: float, job: Callable[[], object], name: str) -> Iterator[None]:
    """Calls `job` every `seconds` seconds while the block is active."""
    loop = asyncio.get_running_loop()
    handle: asyncio.TimerHandle

    def run() -> None:
        nonlocal handle
        handle = loop.call_later(seconds, run)  # first, so that a failure cannot prevent the next run
        attempt(job, name)

    handle = loop.call_later(seconds, run)
    try:
        yield
    finally:
        handle.cancel()


def attempt(job: Callable[[], object], name: str) -> None:
    """Calls `job` once. An exception is logged and counted, and not raised."""
    try:
        job()
    except Exception as error:  # noqa: BLE001  # whatever it is, it must not end what is done periodically
        failed(name, error)


def failed(name: str, error: BaseException) -> None:
    """Logs and counts the failure of a job: its type and place, without values."""
    failures[name] += 1
    log.error("job_failed", job=name, failure=type(error).__name__, where=where(error), count=failures[name])


def where(error: BaseException) -> str:
    """File and line where an exception was raised, without values."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace is not None else "?"
