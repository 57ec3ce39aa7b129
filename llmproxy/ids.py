"""Ids that nobody can guess."""

from __future__ import annotations

import base64
import os

_SIZE = 18  # bytes of an id: 144 bits, 24 letters without padding
_AT_ONCE = 64

_drawn: list[bytes] = []


def fresh_id() -> str:
    """24 letters of base64url. The system's randomness is asked for many ids at once: a call for each takes 5 us."""
    if not _drawn:
        drawn = os.urandom(_SIZE * _AT_ONCE)
        _drawn.extend(drawn[at : at + _SIZE] for at in range(0, len(drawn), _SIZE))
    return base64.b64encode(_drawn.pop(), b"-_").decode()


def _forget() -> None:
    """For a process that was forked: what its parent drew is not its own."""
    _drawn.clear()


os.register_at_fork(after_in_child=_forget)
