"""Non-blocking log output: lines that cannot be written are dropped and counted."""

from __future__ import annotations

import asyncio
import os
import select
import stat
from typing import TextIO

LINGER = 0.05  # seconds: what a kill -9 can take
PIECE = 4096  # bytes: a pipe that takes anything takes so much whole (PIPE_BUF)


class LogWriter:
    """A file for structlog's loggers, over a stream that may be a pipe with a sleeping reader, or with none.

    While an event loop runs, lines wait up to LINGER for company: a system call for each costs more than making it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._poll = _poll(stream)
        self._lines: list[bytes] = []
        self.dropped = 0

    def write(self, line: str | bytes) -> None:
        self._lines.append(line.encode("utf-8", "replace") if isinstance(line, str) else line)
        if len(self._lines) > 1:
            return  # the first one has seen to it
        try:
            asyncio.get_running_loop().call_later(LINGER, self.send)
        except RuntimeError:  # no loop runs
            self.send()

    def flush(self) -> None:
        """structlog calls it after every line; they go a little later."""

    def send(self) -> None:
        """What waits goes out, or is lost."""
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
    """None for what never keeps a writer waiting: a file on disk, and a stream that is nothing of the system's."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode) or not hasattr(select, "poll"):  # Windows has none
        return None
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return poll
