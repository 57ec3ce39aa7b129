"""Checks whether a folder can hold the database, without opening it."""

from __future__ import annotations

import os
from pathlib import Path

from .sqlite.database import FILE

_ADVICE = "name another folder by `[storage] dir` or LLMPROXY_DATA_DIR"


def problem_with(folder: Path | str) -> str:
    """The problem with the folder, existing or not; empty if there is none. For a server it is unknown."""
    if isinstance(folder, str):
        return ""
    try:
        there = next(one for one in (folder, *folder.parents) if one.exists())
    except OSError as error:
        return f"{folder} cannot be looked at: {error.strerror}; {_ADVICE}"
    if not there.is_dir():
        return f"{there} is not a folder; {_ADVICE}"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} is not writable; {_ADVICE}"
    file = folder / FILE
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        return f"{file} is not writable by this user"
    return ""


def is_there(where: Path | str) -> bool:
    """Whether there is a database already. For a server this is unknown before it is asked."""
    return isinstance(where, str) or (where / FILE).exists()
