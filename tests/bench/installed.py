"""What an installation takes: megabytes and packages, of ours in a fresh directory and of the peers where they are installed."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .machine import MB
from .results import Metrics
from .targets import CACHE, PEERS, ROOT, Target


def sizes(targets: Sequence[Target]) -> Iterator[tuple[Target, Metrics]]:
    """The targets whose installation can be measured, with `mb` and `packages`."""
    for target in targets:
        if target.name == "llmproxy":
            yield target, _ours()
        elif target.kind == "peer":
            yield target, measure(PEERS / target.name)


def measure(directory: Path) -> Metrics:
    files = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
    packages = {path.parent for path in files if path.name == "METADATA"} or {
        path.parent for path in files if path.name == "package.json" and path.parent.parent.name == "node_modules"
    }
    return {"mb": sum(path.stat().st_size for path in files) / MB, "packages": float(len(packages))}


def _ours() -> Metrics:
    """llmproxy with what it needs and nothing more, installed anew only if the packaging has changed."""
    key = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    note = CACHE / "installed.json"
    known = json.loads(note.read_text()) if note.exists() else {}
    if known.get("key") != key:
        known = {"key": key, "plain": _install(""), "fast": _install("[fast]")}
        note.write_text(json.dumps(known))
    plain: Metrics = known["plain"]
    return {**plain, "mb_with_uvloop": known["fast"]["mb"]}


def _install(extra: str) -> Metrics:
    directory = CACHE / "installed"
    shutil.rmtree(directory, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(directory), f"{ROOT}{extra}"]
    subprocess.run(command, check=True)
    try:
        return measure(directory)
    finally:
        shutil.rmtree(directory)
