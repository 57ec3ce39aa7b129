"""Gateways that share what replicas share, as one target: python -m tests.bench.shared PORT UPSTREAM HOME --replicas 3

A key with a limit and a budget asks the first of them. The database is made for the run and dropped with it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests import postgres
from tests.cluster.redis_server import any_redis

from .running import free_port
from .targets import SHARED_SECRET as SECRET

CONFIG = """\
[[server.keys]]
name = "bench"
secret = "{secret}"
rpm = 100000000
tpm = 1000000000
budget = "1000000/total"
[cluster]
{cluster}
[providers.openai]
adapter = "openai"
base_url = "{upstream}/v1"
api_key = "x"
[prices]
"openai/mock" = {{ input = 1, output = 2 }}
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("upstream")
    parser.add_argument("home", type=Path)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--redis", action="store_true")
    parser.add_argument("--replicas", type=int, default=1)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.ExitStack() as stack:
        environment = dict(os.environ)
        if given.postgres:
            server = stack.enter_context(postgres.server())
            environment["LLMPROXY_STORAGE_URL"] = stack.enter_context(postgres.database(server))
        if given.redis:
            environment["LLMPROXY_CLUSTER_REDIS"] = stack.enter_context(any_redis())
        ports = [given.port, *(free_port() for _ in range(given.replicas - 1))]
        started = [stack.enter_context(_gateway(given, number, ports, environment)) for number in range(len(ports))]
        started[0].wait()


@contextlib.contextmanager
def _gateway(
    given: argparse.Namespace, number: int, ports: list[int], environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    folder = given.home / str(number)
    folder.mkdir()
    peers = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports)
    cluster = f'name = "replica-{number}"\npeers = [{peers}]\nsecret = "{SECRET}"' if len(ports) > 1 else ""
    file = folder / "llmproxy.toml"
    file.write_text(CONFIG.format(secret=SECRET, cluster=cluster, upstream=given.upstream))
    command = [sys.executable, "-m", "llmproxy", "serve", "--port", str(ports[number]), "--config", str(file)]
    process = subprocess.Popen(command, env={**environment, "LLMPROXY_DATA_DIR": str(folder)})
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.5)
        process.kill()


if __name__ == "__main__":
    main()
