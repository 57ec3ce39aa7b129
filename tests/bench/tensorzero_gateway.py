"""TensorZero's HTTP gateway as a program, run by the interpreter it is installed for: CONFIG, and the file to tell its port in."""

import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

import tensorzero  # type: ignore[import-not-found]  # only in its own environment

if __name__ == "__main__":
    config, told = sys.argv[1:]
    # The one way to it in the wheel; the port is the kernel's choice, whatever the configuration says.
    gateway = tensorzero._start_http_gateway(
        config_file=config, clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
    )
    Path(told).write_text(str(urlsplit(gateway.base_url).port))
    signal.pause()
