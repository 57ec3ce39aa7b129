"""Unguessable IDs."""

from __future__ import annotations

import base64
import os

_BYTES, _LETTERS = 18, 24  # of one id: 144 bits, no padding
_AT_ONCE = 64

_drawn: list[str] = []


def fresh_id() -> str:
    """24 letters of base64url. The system's randomness is asked for many ids at once: a call for each takes 5 us."""
    if not _drawn:
        letters = base64.urlsafe_b64encode(os.urandom(_BYTES * _AT_ONCE)).decode()
        _drawn.extend(letters[at : at + _LETTERS] for at in range(0, len(letters), _LETTERS))
    return _drawn.pop()


def _forget() -> None:
    """For a process that was forked: what its parent drew is not its own."""
    _drawn.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_forget)
