"""`python -m llmproxy ...` as a process of its own that does not import everything again: a fork of one that already did.

Importing is most of what a start costs, and the tests start processes by the hundred. With CI=true, where there is no fork, and
where the environment says something to Python itself, it is a start as anybody's.
"""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tests.thorough import THOROUGH

SERVER = Path(__file__).parent / "fork_server.py"
_STARTING = threading.Lock()


class Fork:
    """A running process, as `subprocess.Popen` has it."""

    def __init__(self, life: socket.socket) -> None:
        """life: where its parent says the process's number, and its exit code at the end."""
        self._life = life
        self._lock = threading.Lock()
        self.pid = int(life.recv(100))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"fork {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:  # others may wait in their threads meanwhile
            select.select([self._life], [], [], timeout)
        with self._lock:
            if self.returncode is None and select.select([self._life], [], [], 0)[0]:
                self.returncode = int(self._life.recv(100))
            return self.returncode


def start(
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: IO[Any],
    stderr: IO[Any],
    stdin: IO[Any] | None = None,
    within: Sequence[str] = (),
) -> subprocess.Popen[bytes] | Fork:
    """`llmproxy` with these arguments. within: a command that runs it somewhere else, as `ip netns exec NAME`."""
    if _for_python(env) or within or THOROUGH or not hasattr(os, "fork"):
        command = [*within, sys.executable, "-m", "llmproxy", *arguments]
        return subprocess.Popen(command, cwd=cwd, env=dict(env), stdin=stdin, stdout=stdout, stderr=stderr)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    what = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env)}
    with theirs, open(os.devnull, "rb") as nothing:
        files = [(stdin or nothing).fileno(), stdout.fileno(), stderr.fileno(), theirs.fileno()]
        with _STARTING:  # two threads that start the first two forks would start a server each
            server, _ = _server()
        socket.send_fds(server, [json.dumps(what).encode()], files)
    return Fork(ours)


def run(
    *arguments: str, cwd: Path, env: Mapping[str, str], timeout: float, say: str = ""
) -> subprocess.CompletedProcess[str]:
    """`llmproxy` with these arguments, to its end."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(say.encode())
        given.seek(0)
        process = start(arguments, cwd=cwd, env=env, stdin=given, stdout=out, stderr=err)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, code, _text(out), _text(err))


def _for_python(env: Mapping[str, str]) -> bool:
    return any(name.startswith("PYTHON") and name != "PYTHONUNBUFFERED" for name in env)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@functools.cache
def _server() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The way to the process that forks, and it. It ends with this process, whose end of the socket is closed then."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-u", str(SERVER), str(theirs.fileno())]
        return ours, subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
