"""Ids of responses and their items, as OpenAI's look: a prefix that says what it is, and 32 hex digits."""

from __future__ import annotations

import os


def fresh(prefix: str) -> str:
    """One that nobody can guess, `resp_0f...` for example."""
    return f"{prefix}_{os.urandom(16).hex()}"
