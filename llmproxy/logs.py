"""Logs: readable on a terminal, one JSON object a line otherwise."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from .config import Logs
from .sink import Sink

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Log:
    """structlog's logger, made at the first line: its import takes as long as all of our own."""

    def __init__(self) -> None:
        self._settings = Logs()
        self._stream: TextIO = sys.stderr
        self._sink: Sink | None = None

    def configure(self, settings: Logs, stream: TextIO | None = None) -> None:
        """Once, at the start. Lines of other libraries come through the same door, from `warning` on."""
        self._settings, self._stream = settings, stream or sys.stderr
        logging.basicConfig(handlers=[_Door()], level=logging.WARNING, force=True)

    def __getattr__(self, name: str) -> Any:
        """`info`, `warning`, ...: taken from the real logger once, and found here from then on."""
        self._sink = Sink(self._stream)
        made = _made(self._settings, self._stream, self._sink)
        self.info = made.info
        self.warning, self.error = self._at_once(made.warning), self._at_once(made.error)
        self.log = self._at_once(made.log)
        return self.__dict__[name]

    def _at_once(self, write: Callable[..., None]) -> Callable[..., None]:
        """What is wrong is not kept back, and nothing before it: the process may not live much longer."""

        def written(*event: Any, **facts: Any) -> None:
            write(*event, **facts)
            self.send()

        return written

    def send(self) -> None:
        """Writes what still waits: for the process's end."""
        if self._sink is not None:
            self._sink.send()


log = Log()


def _made(settings: Logs, stream: TextIO, sink: Any) -> FilteringBoundLogger:
    import structlog

    processors: list[Any] = [_json_line]
    factory: Any = structlog.BytesLoggerFactory(file=sink)
    if settings.format == "text" or (settings.format == "auto" and stream.isatty()):
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
        processors = [structlog.processors.add_log_level, stamp, structlog.dev.ConsoleRenderer(colors=stream.isatty())]
        factory = structlog.WriteLoggerFactory(file=sink)
    level = structlog.make_filtering_bound_logger(_LEVELS[settings.level])
    structlog.configure(processors, wrapper_class=level, logger_factory=factory)
    logger: FilteringBoundLogger = structlog.get_logger().bind()
    return logger


def _json_line(logger: object, level: str, event: MutableMapping[str, Any]) -> bytes:
    """All that structlog's own processors would do, in one: there is a line for every request."""
    event["level"], event["timestamp"] = level, datetime.now(UTC)
    return orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z)


class _Door(logging.Handler):
    """The standard library's records as our events; no arguments, which may hold what must not be logged."""

    def emit(self, record: logging.LogRecord) -> None:
        failure = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        log.log(record.levelno, "library_log", logger=record.name, message=str(record.msg)[:300], failure=failure)
