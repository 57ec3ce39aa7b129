"""Finds out which processes are alive: each holds a lock on a file, which the system releases when it ends."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import ModuleType

_fcntl: ModuleType | None
try:
    import fcntl as _fcntl
except ImportError:  # Windows: one gateway per data directory, so every other process is dead
    _fcntl = None

_PREFIX = "process-"


def hold(folder: Path, process: str) -> int:
    """Registers this process as alive, until the returned file descriptor is closed, at the latest when the process ends."""
    while True:
        held = os.open(_file(folder, process), os.O_RDWR | os.O_CREAT, 0o600)
        if _locked(held) and os.fstat(held).st_nlink:  # not swept away between the two steps
            return held
        os.close(held)


def try_lock(file: Path) -> int | None:
    """The descriptor of a file that this process has locked, until it is closed; None if another one has locked it."""
    held = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    if _locked(held):
        return held
    os.close(held)
    return None


def release(folder: Path, process: str, held: int) -> None:
    """Removes the registration of `hold`, at a normal end."""
    _file(folder, process).unlink(missing_ok=True)
    os.close(held)


def living(folder: Path | None) -> set[str]:
    """The live processes. The files of all others are removed."""
    if folder is None:
        return set()
    return {path.stem.removeprefix(_PREFIX) for path in folder.glob(f"{_PREFIX}*.lock") if not _gone(path)}


def _gone(path: Path) -> bool:
    try:
        held = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        if not _locked(held):
            return False
        with suppress(OSError):
            path.unlink()
        return True
    finally:
        os.close(held)


def _file(folder: Path, process: str) -> Path:
    return folder / f"{_PREFIX}{process}.lock"


def _locked(held: int) -> bool:
    if _fcntl is None:
        return True
    try:
        _fcntl.flock(held, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
