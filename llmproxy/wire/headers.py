"""Header values that are safe to send."""

from __future__ import annotations

import re
from typing import Any

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def header_safe(value: Any) -> str:
    """A value that is safe in a header: printable ASCII, no line breaks, limited length."""
    text = str(value)
    return (text if text.isascii() and text.isprintable() else _UNPRINTABLE.sub("?", text))[:200]
