"""The real server process, started for tests with a config and an environment that hold nothing of the developer's."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests import forks
from tests.forks import Fork

START_SECONDS = 120.0  # on a machine that is busy with other things; one that ends instead is seen at once
_ADDRESS = re.compile(r"http://(\d+\.\d+\.\d+\.\d+):(\d+)")


@dataclass(slots=True)
class Gateway:
    """A running server. `url` has no `/v1`; `base_url` is what an SDK is given."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes] | Fork

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """What it logged, parsed; all events, or those of one name."""
        lines = [line for line in self.output.splitlines() if line.startswith("{")]
        events = [orjson.loads(line) for line in lines]
        return [event for event in events if name is None or event.get("event") == name]

    def stop(self) -> int:
        """SIGTERM, then SIGKILL after ten seconds. Gives the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextmanager
def running_gateway(
    config: str = "",
    environment: Mapping[str, str] | None = None,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    within: Sequence[str] = (),
) -> Iterator[Gateway]:
    """`python -m llmproxy serve`, ready to answer, stopped when the block ends. `config` is an llmproxy.toml's text.

    within: a command that runs it somewhere else, as `ip netns exec NAME`.
    """
    with tempfile.TemporaryDirectory(prefix="llmproxy-test-") as name:
        folder = Path(name)
        (folder / "llmproxy.toml").write_text(config)
        gateway = _started(folder, host, port, environment or {}, within)
        try:
            yield gateway
        finally:
            gateway.stop()


def _started(folder: Path, host: str, port: int, environment: Mapping[str, str], within: Sequence[str]) -> Gateway:
    where = [] if host == "127.0.0.1" else ["--host", host]
    options = [*where, "--port", str(port), "--config", str(folder / "llmproxy.toml")]
    environ = _environment(folder, environment)
    with (folder / "output").open("wb") as output:
        process = forks.start(["serve", *options], cwd=folder, env=environ, stdout=output, stderr=output, within=within)
    gateway = Gateway("", folder, process)
    gateway.url = _address(gateway)
    return gateway


def _environment(folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    inherited = {key: os.environ[key] for key in ("PATH", "LANG", "VIRTUAL_ENV", "SYSTEMROOT") if key in os.environ}
    ours = {
        "HOME": str(folder),
        "LLMPROXY_DATA_DIR": str(folder / "data"),
        "LLMPROXY_DISCOVER": "0",
        "LLMPROXY_LOG_FORMAT": "json",
        "PYTHONUNBUFFERED": "1",
    }
    return {**inherited, **ours, **extra}


def _address(gateway: Gateway) -> str:
    """The address it announces, once it accepts connections there."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and gateway.process.poll() is None:
        announced = _ADDRESS.search(gateway.output)
        if announced and _accepts(announced[1], int(announced[2])):
            return announced[0]
        time.sleep(0.02)
    gateway.process.kill()
    raise RuntimeError(f"the gateway did not start:\n{gateway.output}")


def _accepts(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
