"""Logs: readable on a terminal, otherwise one JSON object per line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, TextIO

import orjson

from llmproxy.config import Logs
from llmproxy.config.colour import is_coloured

from .log_writer import LogWriter
from .request_log import short

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Write(Protocol):
    def __call__(self, event: str, **facts: Any) -> None: ...


class Log:
    """Writes events with fields, one line each; the format is chosen at the first event."""

    def __init__(self) -> None:
        self._settings = Logs()
        self._stream: TextIO = sys.stderr
        self._sink: LogWriter | None = None

    def configure(self, settings: Logs, stream: TextIO | None = None) -> None:
        """Called at the start, and when the configuration changes. Logs of other libraries use the same format, from `warning`
        on.
        """
        stream = stream or sys.stderr
        if (settings, stream) != (self._settings, self._stream):
            self.send()
            for level in _LEVELS:  # they are made again at the next line
                self.__dict__.pop(level, None)
        self._settings, self._stream = settings, stream
        logging.basicConfig(handlers=[_FromStandardLibrary()], level=logging.WARNING, force=True)

    def __getattr__(self, name: str) -> Any:
        """`info`, `warning`, ...: made once, then found as attributes."""
        if name not in _LEVELS:
            raise AttributeError(name)
        self._sink = LogWriter(self._stream)
        make = _readable(self._sink, self._stream) if self.is_readable else partial(_in_json, self._sink)
        for level, number in _LEVELS.items():
            written = make(level) if number >= _LEVELS[self._settings.level] else _unsaid
            setattr(self, level, written if number <= logging.INFO else self._at_once(written))
        return self.__dict__[name]

    @property
    def is_readable(self) -> bool:
        """Whether lines are for people, not JSON."""
        format = self._settings.format
        return format == "text" or (format == "auto" and self._stream.isatty())

    def always(self, event: str, **facts: Any) -> None:
        """Writes a line of JSON at once, at any log level."""
        self.send()
        sink = LogWriter(self._stream)
        _in_json(sink, "info")(event, **facts)
        sink.send()

    def _at_once(self, write: Write) -> Write:
        """Writes a problem at once, together with all lines before it: the process may not live much longer."""

        def written(event: str, **facts: Any) -> None:
            write(event, **facts)
            self.send()

        return written

    def send(self) -> None:
        """Writes all waiting lines: called at the end of the process."""
        if self._sink is not None:
            self._sink.send()


log = Log()


def _unsaid(event: str, **facts: Any) -> None:
    """Does nothing: the event is below the log level."""


def _in_json(sink: LogWriter, level: str) -> Write:
    """JSON without structlog, because there is a line for every request: structlog would cost more than the line, and
    megabytes to load.
    """

    def write(event: str, **facts: Any) -> None:
        line = {"event": event, **facts, "level": level, "timestamp": datetime.now(UTC)}
        sink.write(orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))

    return write


def _readable(sink: Any, stream: TextIO) -> Callable[[str], Write]:
    """Text for people, by structlog."""
    import structlog

    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
    shown = structlog.dev.ConsoleRenderer(colors=is_coloured(stream))

    def rendered(logger: Any, name: str, line: MutableMapping[str, Any]) -> str:
        return f"{line['timestamp']} {short(line)}" if line["event"] == "request" else shown(logger, name, line)

    structlog.configure(
        [structlog.processors.add_log_level, stamp, _escaped, rendered],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.WriteLoggerFactory(file=sink),
    )
    return partial(getattr, structlog.get_logger().bind())


def _escaped(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escapes control characters: a name invented by a client must not control the operator's terminal."""
    return {name: _printable(value) if isinstance(value, str) else value for name, value in line.items()}


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join([one if one.isprintable() else one.encode("unicode_escape").decode() for one in text])


class _FromStandardLibrary(logging.Handler):
    """Records of the standard library as our events; without arguments, which may contain secrets."""

    def emit(self, record: logging.LogRecord) -> None:
        failure = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        tell = log.error if record.levelno >= logging.ERROR else log.warning
        tell("library_log", logger=record.name, message=str(record.msg)[:300], failure=failure)
