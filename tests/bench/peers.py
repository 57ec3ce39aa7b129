"""Installs the peers, each in an environment of its own, from the public package registries."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from .targets import PEERS

PYTHON = {"litellm": "litellm[proxy]"}
NODE = {"portkey": "@portkey-ai/gateway"}


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
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(directory), package], check=True
    )
