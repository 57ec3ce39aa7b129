"""Where log lines go: never waited for, and never a failure of whoever logs. What is not taken is dropped and counted."""

from __future__ import annotations

import os
import select
import stat
from typing import TextIO

PIECE = 4096  # bytes: a pipe that takes anything takes so much whole (PIPE_BUF)


class Sink:
    """A file for structlog's loggers, over a stream that may be a pipe with a sleeping reader, or with none."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._poll = _poll(stream)
        self.dropped = 0

    def write(self, line: str | bytes) -> None:
        if self.dropped and self._takes():
            count, self.dropped = self.dropped, 0
            self._put(b'{"event": "log_lines_dropped", "count": %d}\n' % count)
        self._put(line.encode("utf-8", "replace") if isinstance(line, str) else line)

    def flush(self) -> None:
        """Every line has gone, or is lost."""

    def _put(self, line: bytes) -> None:
        try:
            for start in range(0, len(line), PIECE):
                if not self._takes():
                    self.dropped += 1
                    return
                self._stream.buffer.write(line[start : start + PIECE])
                self._stream.buffer.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed
            self.dropped += 1

    def _takes(self) -> bool:
        return self._poll is None or any(events & select.POLLOUT for _, events in self._poll.poll(0))


def _poll(stream: TextIO) -> select.poll | None:
    """None for what never keeps a writer waiting: a file on disk, and a stream that is nothing of the system's."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return None
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return poll
