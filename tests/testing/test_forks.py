"""A fork is a process as any other: its output, its exit code, its end, and nothing that it shares with another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forks
from tests.gateway import running_gateway

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "THOROUGH", False)


@pytest.mark.parametrize(("words", "code"), [(("--version",), 0), (("no-such-command",), 2)])
def test_it_prints_and_ends_as_the_command_does(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    environ = {"HOME": str(tmp_path)}
    done = forks.run(*words, cwd=tmp_path, env=environ, timeout=30)
    plain = subprocess.run(
        [sys.executable, "-m", "llmproxy", *words],
        cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == plain.returncode == code
    assert (done.stdout, done.stderr) == (plain.stdout, plain.stderr)


def test_it_has_its_own_folder_and_environment(tmp_path: Path) -> None:
    (tmp_path / "llmproxy.toml").write_text('[server]\nport = "${NOWHERE}"\n')
    done = forks.run("check", cwd=tmp_path, env={"HOME": str(tmp_path), "NOWHERE": "no-port"}, timeout=30)
    assert done.returncode == 2
    assert "llmproxy.toml" in done.stderr


def test_a_signal_that_ends_it_is_its_exit_code() -> None:
    with running_gateway() as gateway:
        assert isinstance(gateway.process, forks.Fork)
        assert gateway.process.poll() is None
        gateway.process.kill()
        assert gateway.process.wait(30) == gateway.process.poll() == -signal.SIGKILL
        gateway.process.terminate()  # of one that has ended, as Popen has it


def test_to_wait_has_an_end() -> None:
    with running_gateway() as gateway, pytest.raises(subprocess.TimeoutExpired):
        gateway.process.wait(0.01)
