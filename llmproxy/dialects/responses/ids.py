"""IDs of responses and items in OpenAI's form: a prefix for the kind, and 32 hex digits."""

from __future__ import annotations

import os


def fresh(prefix: str, tag: str = "") -> str:
    """A random ID, `resp_0f...` for example. tag: hex digits at its beginning, 8 at most."""
    return f"{prefix}_{(tag + os.urandom(16).hex())[:32]}"
