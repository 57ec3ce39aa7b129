"""Unguessable IDs."""

from __future__ import annotations

import base64
import os

_BYTES, _LETTERS = 18, 24  # of one ID: 144 bits, no padding
_AT_ONCE = 64

_drawn: list[str] = []


def fresh_id() -> str:
    """A random ID of 24 base64url letters. Random bytes are drawn for many IDs at once, because each system call takes
    5 us.
    """
    if not _drawn:
        letters = base64.urlsafe_b64encode(os.urandom(_BYTES * _AT_ONCE)).decode()
        _drawn.extend(letters[at : at + _LETTERS] for at in range(0, len(letters), _LETTERS))
    return _drawn.pop()


def _forget() -> None:
    """Called in a forked process: it must not use the random bytes that its parent drew."""
    _drawn.clear()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_forget)
