"""Ids of responses and their items, as OpenAI's look: a prefix that says what it is, and 32 hex digits."""

from __future__ import annotations

import os


def fresh(prefix: str, tag: str = "") -> str:
    """One that nobody can guess, `resp_0f...` for example. tag: hex digits that it begins with, 8 at most."""
    return f"{prefix}_{(tag + os.urandom(16).hex())[:32]}"
