"""Processes of a run: started, waited for, and ended with all they started, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import machine
from .call import Asked, once
from .frames import Order
from .targets import CACHE, ROOT, Place, Target, clean_environment

PATIENCE = 90.0  # seconds a gateway may take to start


class NotStarted(Exception):
    """A gateway did not answer its first request; its log says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A target that answers. `pid` is None for `direct`."""

    target: Target
    asked: Asked
    pid: int | None

    @property
    def pids(self) -> list[int]:
        return machine.tree(self.pid) if self.pid is not None else []


@asynccontextmanager
async def mock() -> AsyncIterator[int]:
    """The mock provider in its own process; its port."""
    port = free_port()
    with spawned([sys.executable, "-m", "tests.bench.mock", "--port", str(port)], dict(os.environ), "mock") as process:
        await answers(lambda: Asked.of(port, model="mock"), process, 10.0)
        yield port


@asynccontextmanager
async def started(target: Target, upstream: int) -> AsyncIterator[Running]:
    """The target, once it has answered a request. Raises NotStarted."""
    with launched(target, upstream) as running:
        if isinstance(running, Launched):
            asked = await answers(running.asked, running.process, PATIENCE)
            yield Running(target, asked, running.process.pid)
        else:
            yield running


@dataclass(frozen=True, slots=True)
class Launched:
    """A process that may not answer yet, nor have a port."""

    target: Target
    at: Place
    process: subprocess.Popen[bytes]

    def asked(self) -> Asked:
        """How to ask it, as far as is known now: port 0, where nobody answers, until it has one."""
        target, at = self.target, self.at
        return Asked.of(target.port(at), model=target.model, headers=target.headers(at), path=target.path)


@contextmanager
def launched(target: Target, upstream: int) -> Iterator[Launched | Running]:
    """The target's process from its first moment on."""
    if target.command is None:
        yield Running(target, Asked.of(upstream, model=target.model), None)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        at = Place(free_port(), upstream, Path(home))
        with spawned(target.command(at), clean_environment(target, at), target.name) as process:
            yield Launched(target, at, process)


@contextmanager
def spawned(command: list[str], environment: dict[str, str], name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, ended with the block; what it says goes to a log in the cache."""
    log = CACHE / "logs" / f"{name.replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign, patience in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    # The leader has gone by now; of its group, those who ignored SIGTERM went with SIGKILL.


async def answers(ask: Callable[[], Asked], process: subprocess.Popen[bytes], patience: float) -> Asked:
    """How the first request was asked that was answered with 200. Raises NotStarted."""
    deadline = time.monotonic() + patience
    while await once(asked := ask(), Order("json")) != 200:
        if process.poll() is not None:
            raise NotStarted(f"it ended with {process.returncode}")
        if time.monotonic() > deadline:
            raise NotStarted("it did not answer with 200")
        await asyncio.sleep(0.01)
    return asked


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
