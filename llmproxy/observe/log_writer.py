"""Non-blocking log output: lines that cannot be written are dropped and counted."""

from __future__ import annotations

import asyncio
import os
import select
import stat
from typing import TextIO

LINGER = 0.05  # seconds of log lines that may be lost by kill -9
PIECE = 4096  # bytes: a pipe accepts this many completely or not at all (PIPE_BUF)


class LogWriter:
    """A file for structlog's loggers, over a stream that may be a pipe without an active reader.

    While an event loop runs, lines wait up to LINGER for more lines: one system call each costs more than making the line.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._poll = _poll(stream)
        self._lines: list[bytes] = []
        self.dropped = 0

    def write(self, line: str | bytes) -> None:
        waiting = bool(self._lines)
        self._lines.append(line.encode("utf-8", "replace") if isinstance(line, str) else line)
        if waiting:
            return  # it was already scheduled
        try:
            asyncio.get_running_loop().call_later(LINGER, self.send)
        except RuntimeError:  # no loop runs
            self.send()

    def flush(self) -> None:
        """structlog calls it after every line; lines are written a little later."""

    def send(self) -> None:
        """Writes the waiting lines; lines that cannot be written are lost."""
        lines, self._lines = self._lines, []
        if lines and self.dropped and self._takes():
            count, self.dropped = self.dropped, 0
            lines.insert(0, b'{"event": "log_lines_dropped", "count": %d}\n' % count)
        batch = b""
        for line in lines:
            if len(batch) + len(line) > PIECE:
                self._put(batch)
                batch = b""
            batch += line
        self._put(batch)

    def _put(self, batch: bytes) -> None:
        try:
            for start in range(0, len(batch), PIECE):
                if not self._takes():
                    self.dropped += batch.count(b"\n")
                    return
                self._stream.buffer.write(batch[start : start + PIECE])
                self._stream.buffer.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed
            self.dropped += batch.count(b"\n")

    def _takes(self) -> bool:
        return self._poll is None or any(events & select.POLLOUT for _, events in self._poll.poll(0))


def _poll(stream: TextIO) -> select.poll | None:
    """None for a stream that never blocks: a file on disk, or a stream without a file descriptor."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode) or not hasattr(select, "poll"):  # Windows has no poll
        return None
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return poll
