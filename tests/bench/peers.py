"""Installs the peers, each in an environment of its own, from the public package registries."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from .targets import PEERS

# TensorZero in one version: the function that starts its gateway is private.
PYTHON = {"litellm": "litellm[proxy]", "tensorzero": "tensorzero==2026.6"}
NODE = {"portkey": "@portkey-ai/gateway"}
# Portkey adds a header to the answer it streams; newer ones (1.19.19) let nobody do so, and every stream ends with status 500.
OVERRIDES = {"@hono/node-server": "1.13.5"}


def install(names: list[str]) -> None:
    """Those of that name, or all. One that cannot be installed is reported and left out of later runs."""
    for name in names or [*PYTHON, *NODE]:
        print(f"installing {name}", file=sys.stderr)
        try:
            _python(PEERS / name, PYTHON[name]) if name in PYTHON else _node(PEERS / name, NODE[name])
        except subprocess.CalledProcessError as error:
            print(f"{name}: {error}", file=sys.stderr)


def _python(directory: Path, package: str) -> None:
    venv.create(directory, with_pip=True)
    subprocess.run([str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", package], check=True)


def _node(directory: Path, package: str) -> None:
    shutil.rmtree(directory, ignore_errors=True)  # npm does not apply overrides to what is installed already
    directory.mkdir(parents=True)
    (directory / "package.json").write_text(json.dumps({"overrides": OVERRIDES}))
    subprocess.run(
        ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(directory), package], check=True
    )
