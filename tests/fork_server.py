"""Imports what `llmproxy` imports, and forks for each command that it is told: see forks.py.

It is run as a file, and imports nothing of the tests, so that its forks have what `python -m llmproxy` has and no more.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any

from llmproxy.core import hops

MODULES = ("llmproxy.cli", "llmproxy.commands.serve", "llmproxy.server.process.process", "llmproxy.store.sqlite.engine")
CLIENT = "openai"  # what `llmproxy chat` alone imports: of those who test it, the first imports it for all
LONGEST = 1 << 20  # bytes of a command with its environment


def imported() -> None:
    for name in MODULES:
        importlib.import_module(name)
    adapters = importlib.import_module("llmproxy.adapters")
    for one in pkgutil.iter_modules(adapters.__path__, "llmproxy.adapters."):
        importlib.import_module(one.name)


def serve(commands: socket.socket) -> dict[str, Any] | None:
    """Returns in each fork, with what it is to do; and without anything when nobody is left to tell."""
    lives = dict[int, socket.socket]()
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    while True:
        ready, _, _ = select.select([commands.fileno(), ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            tell_of_ends(lives)
        if commands.fileno() not in ready:
            continue
        said, files, _, _ = socket.recv_fds(commands, LONGEST, 4)
        if not said:
            return None
        *standard, life = files
        command = json.loads(said)
        if command["arguments"][:1] == ["chat"]:
            importlib.import_module(CLIENT)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for file in (commands.fileno(), ended, wake, life, *(one.fileno() for one in lives.values())):
                os.close(file)
            return {**command, "standard": standard}
        for file in standard:
            os.close(file)
        lives[pid] = socket.socket(fileno=life)
        lives[pid].send(str(pid).encode())


def tell_of_ends(lives: dict[int, socket.socket]) -> None:
    while lives:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with lives.pop(pid) as life, suppress(OSError):  # nobody may wait for it any more
            life.send(str(os.waitstatus_to_exitcode(status)).encode())


def become(arguments: list[str], cwd: str, env: dict[str, str], standard: list[int]) -> None:
    """As `python -m llmproxy` with these arguments begins."""
    for file, one in enumerate(standard):
        os.dup2(one, file)
        os.close(one)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    importlib.reload(hops)  # it makes the name of this gateway, of which each has its own
    sys.argv[1:] = arguments
    sys.path[0] = cwd


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which end it
    imported()
    command = serve(socket.socket(fileno=int(sys.argv[1])))
    if command is not None:
        become(**command)
        runpy.run_module("llmproxy", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
