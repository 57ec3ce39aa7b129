"""Systems that lack what Unix has: everything can be imported, one process serves, and what cannot be is said."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmproxy.config import ConfigError, load
from tests.gateway import Gateway
from tests.server.asking import ask

# What Windows has not, taken away before anything of ours is imported. The standard library itself needs some of it here.
LESS = """
import asyncio, asyncio.subprocess, multiprocessing.util, os, select, selectors, signal, socket, subprocess, sys, tempfile
for name in ("fcntl", "termios", "resource", "pwd", "grp", "readline", "uvloop", "syslog"):
    sys.modules[name] = None
for module, names in (
    (os, ("fork", "register_at_fork", "geteuid", "getuid", "sysconf", "wait", "fchmod")),
    (signal, ("SIGHUP", "SIGUSR1", "SIGUSR2", "pthread_sigmask")),
    (select, ("poll", "epoll")),
    (socket, ("SO_REUSEPORT", "TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "TCP_INFO", "TCP_NOTSENT_LOWAT")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

def missing(*_):
    raise NotImplementedError

asyncio.SelectorEventLoop.add_signal_handler = missing
"""
IMPORTS = """
import importlib, pkgutil, llmproxy
for root in ("llmproxy",):
    for found in pkgutil.walk_packages(importlib.import_module(root).__path__, root + "."):
        if ".testing" not in found.name and not found.name.endswith("__main__"):
            importlib.import_module(found.name)
print("all imported")
"""
SERVES = "from llmproxy.cli import main; sys.exit(main(sys.argv[1:]))"


def less(code: str, *arguments: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "LLMPROXY_DISCOVER": "0", "LLMPROXY_LOG_FORMAT": "json"}
    return [sys.executable, "-c", LESS + code, *arguments], environ


def test_nothing_imports_what_is_not_there(tmp_path: Path) -> None:
    command, environ = less(IMPORTS, folder=tmp_path)
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "all imported\n", done.stderr[-2000:]


def test_one_process_serves_and_ends_in_order(tmp_path: Path) -> None:
    command, environ = less(SERVES, "serve", "--port", "0", folder=tmp_path)
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=output, stderr=output)
    gateway = Gateway("", tmp_path, process)
    try:
        deadline = time.monotonic() + 20
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", gateway.output)):
            assert process.poll() is None, gateway.output
            assert time.monotonic() < deadline, gateway.output
            time.sleep(0.02)
        question = {"model": "demo/hello", "messages": [{"role": "user", "content": "hi"}]}
        assert ask(found[0], "/v1/chat/completions", method="POST", body=question).status == 200
        assert ask(found[0], "/threads", method="POST", body={"title": "t"}).status == 201
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert [event["event"] for event in gateway.events()][-2:] == ["draining", "stopped"]
        assert "Traceback" not in gateway.output
    finally:
        process.kill()
        process.wait()


def test_several_workers_where_nothing_can_fork_are_one_sentence(tmp_path: Path) -> None:
    command, environ = less(SERVES, "serve", "--workers", "2", folder=tmp_path)
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "llmproxy: server.workers: this system cannot fork processes (Windows): it must be 1\n"


def test_that_it_is_untested_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "platform", "win32")
    assert any("not tested on Windows" in note for note in load(environ={"LOCALAPPDATA": str(tmp_path)}).notes)


def test_workers_on_a_system_without_fork_are_refused_by_check_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(os, "fork")
    with pytest.raises(ConfigError, match="cannot fork"):
        load(environ={"LLMPROXY_WORKERS": "2"})
