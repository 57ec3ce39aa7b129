"""Several processes on one port: started, watched, replaced when they crash, and stopped together.

Each is a complete gateway with its own listening socket (SO_REUSEPORT: the kernel distributes the connections). A request about
another worker's request is forwarded to it (see cluster/).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from llmproxy.cluster.place import Place
from llmproxy.observe.log import log

_CRASHES = 5  # within _WINDOW seconds; then a restart does not help
_WINDOW = 10.0
_PATH = 90  # bytes of a folder's path: a socket's path may have 107, including its name
_STOP = frozenset((signal.SIGTERM, signal.SIGINT))
_HANGUP = getattr(signal, "SIGHUP", None)  # Windows has neither these signals nor workers
HURRY = getattr(signal, "SIGUSR2", None)  # from the supervisor: it got a second stop signal
_PASSED_ON = frozenset(one for one in (*_STOP, _HANGUP) if one is not None)


class NoFolder(Exception):
    """There is no folder for the workers' sockets."""


class Supervisor:
    """Owns the workers. It serves no requests itself, so that little in it can fail."""

    def __init__(self, count: int, work: Callable[[Place], int], spare: str = "") -> None:
        """spare: a folder for the workers' sockets if the system's temporary folder cannot be used."""
        self._spare = spare
        self._count = count
        self._work = work
        self._workers: dict[int, int] = {}  # pid -> number
        self._crashes: list[float] = []
        self._stopping = False
        self._worst = 0

    def run(self) -> int:
        """Returns when all have ended: the highest of their exit codes."""
        folder = meeting_folder(self._spare)
        reading, self._writing = os.pipe()
        token, instance = secrets.token_urlsafe(32), secrets.token_hex(16)
        self._places = [Place(number, self._count, folder, token, reading, instance) for number in range(self._count)]
        for number in _PASSED_ON:
            signal.signal(number, self._pass_on)
        try:
            for place in self._places:
                self._start(place)
            while self._workers:
                self._reap()
        finally:
            for number in _PASSED_ON:  # all workers have ended, and a further signal must not replace the exit code
                signal.signal(number, signal.SIG_IGN)
            shutil.rmtree(folder, ignore_errors=True)
        return self._worst

    def _start(self, place: Place) -> None:
        """Signals are blocked meanwhile, so that they reach every worker, and no worker inherits our handlers."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
        try:
            if self._stopping:
                return
            pid = os.fork()
            if pid == 0:
                self._become(place, before)
            self._workers[pid] = place.number
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _become(self, place: Place, unblocked: Iterable[int]) -> NoReturn:
        """The whole life of a worker."""
        code = 1
        try:
            os.close(self._writing)
            for number in _STOP:
                signal.signal(number, signal.SIG_DFL)
            if _HANGUP is not None:
                signal.signal(_HANGUP, signal.SIG_IGN)  # until it is handled: the configuration is just being read
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            code = self._work(place)
        finally:
            os._exit(code)  # the supervisor's code must not run in the worker

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        """Only the supervisor counts the stop signals: a terminal or systemd signals the workers as well."""
        if number != _HANGUP:
            number = HURRY if self._stopping and HURRY is not None else signal.SIGTERM
            self._stopping = True
        for pid in list(self._workers):
            with suppress(ProcessLookupError):  # it has just ended, and will be removed from the list
                os.kill(pid, number)

    def _reap(self) -> None:
        pid, status = os.wait()
        number = self._workers.pop(pid, None)
        if number is None:
            return
        code = os.waitstatus_to_exitcode(status)
        if self._stopping:
            before_it_served = -code in (*_STOP, HURRY)
            self._worst = max(self._worst, 0 if before_it_served else abs(code))
            return
        log.error("worker_ended", worker=number, code=code)
        now = time.monotonic()
        self._crashes = [*(at for at in self._crashes if now - at < _WINDOW), now]
        if len(self._crashes) > _CRASHES:
            self._worst = 1
            self._pass_on(signal.SIGTERM, None)
            return
        self._start(self._places[number])


def meeting_folder(spare: str) -> Path:
    """A new folder for the workers' sockets that only this user can enter. Raises NoFolder."""
    reasons = []
    for base in (None, spare):
        try:
            if base:
                Path(base).mkdir(mode=0o700, parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix="llmproxy-", dir=base or None))  # 0700
        except OSError as error:
            reasons.append(f"{base or 'the temporary folder'}: {error.strerror or error}")
            continue
        if len(os.fsencode(made)) <= _PATH:
            return made
        made.rmdir()
        reasons.append(f"{made.parent}: its path is too long for a socket")
    raise NoFolder(f"no folder for the workers' sockets ({'; '.join(reasons)}); set TMPDIR to a short, writable one")


def reserve(host: str, port: int) -> tuple[socket.socket, int]:
    """Reserves the port for the workers without listening on it; port 0 becomes a real one. Raises PortTaken."""
    from .socket_options import bound, refuse_taken

    refuse_taken(host, port)
    held = bound(host, port, share=True)
    return held, int(held.getsockname()[1])


def ends_with(place: Place, stop: Callable[[], None]) -> None:
    """Calls `stop` in this loop when the supervisor has ended for any reason."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(place.lifeline)
        stop()

    loop.add_reader(place.lifeline, gone)
