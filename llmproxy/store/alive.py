"""Which processes are still there: each holds a lock on a file of its own, which ends with it however it ends."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

_fcntl: ModuleType | None
try:
    import fcntl as _fcntl
except ImportError:  # Windows: one gateway to a data directory, so every other one is gone
    _fcntl = None


def hold(folder: Path, process: str) -> int:
    """Says that this process lives, until the file descriptor given back is closed, at the latest with the process."""
    held = os.open(_file(folder, process), os.O_RDWR | os.O_CREAT, 0o600)
    _locked(held)
    return held


def release(folder: Path, process: str, held: int) -> None:
    """Takes back what `hold` said, at a proper end."""
    _file(folder, process).unlink(missing_ok=True)
    os.close(held)


def gone(folder: Path | None, process: str) -> bool:
    """Whether that process has ended. Its file is removed then."""
    if folder is None:
        return True
    path = _file(folder, process)
    try:
        held = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        if not _locked(held):
            return False
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(held)


def _file(folder: Path, process: str) -> Path:
    return folder / f"process-{process}.lock"


def _locked(held: int) -> bool:
    if _fcntl is None:
        return True
    try:
        _fcntl.flock(held, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
