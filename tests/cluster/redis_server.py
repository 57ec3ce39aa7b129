"""A real Redis (or Valkey) for tests: the one that is named or found, or one of their own in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.ports import free_port
from tests.waiting import until

NAMED = "LLMPROXY_TEST_REDIS"
USUAL = ("127.0.0.1", 6379)


@dataclass
class RedisServer:
    """A server of the test's own, which may be stopped and killed."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def hang(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def again(self) -> None:
        """A new one at the same address, which knows nothing."""
        self.process = _started(self.port, self.folder)


def program() -> str:
    """The server's program. Skips the test where none is installed."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        pytest.skip("neither redis-server nor valkey-server is installed")
    return found


@contextmanager
def own_redis() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="llmproxy-redis-") as name:
        port, folder = free_port(), Path(name)
        server = RedisServer(port, folder, _started(port, folder))
        try:
            yield server
        finally:
            with suppress(ProcessLookupError):
                server.go_on()
            server.kill()


@contextmanager
def any_redis() -> Iterator[str]:
    """The URL of a server that others may use too: what is written there is under a name of the test's own."""
    if url := os.environ.get(NAMED):
        yield url
    elif _answers(*USUAL):
        yield f"redis://{USUAL[0]}:{USUAL[1]}/0"
    else:
        with own_redis() as server:
            yield server.url


def _started(port: int, folder: Path) -> subprocess.Popen[bytes]:
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen([program(), *options], stdout=subprocess.DEVNULL)
    until(lambda: _answers("127.0.0.1", port), "the server answers")
    return process


def _answers(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port), timeout=5) as asking:
        asking.sendall(b"PING\r\n")
        return asking.recv(5) == b"+PONG"
    return False
