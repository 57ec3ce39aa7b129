"""Logs: readable on a terminal, one JSON object a line otherwise; made when the first line is written."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import orjson
import structlog

from .config import Logs

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(logs: Logs, stream: TextIO | None = None) -> None:
    """Once, at the start. Lines of other libraries come through the same door, from `warning` on."""
    stream = stream or sys.stderr
    readable = logs.format == "text" or (logs.format == "auto" and stream.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if readable else "iso", utc=not readable),
    ]
    if readable:
        last: list[Any] = [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
        factory: Any = structlog.WriteLoggerFactory(file=stream)
    else:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_one_line)]
        factory = (
            structlog.BytesLoggerFactory(file=stream.buffer)
            if hasattr(stream, "buffer")
            else structlog.WriteLoggerFactory(file=stream)
        )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[logs.level]),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Door()], level=logging.WARNING, force=True)


def _one_line(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=str)


class _Door(logging.Handler):
    """The standard library's records as our events; no arguments, which may hold what must not be logged."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        failure = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        log.log(record.levelno, "library_log", logger=record.name, message=str(record.msg)[:300], failure=failure)
