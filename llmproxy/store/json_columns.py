"""Columns with JSON values."""

from __future__ import annotations

import json
from typing import Any

from llmproxy.wire.nesting import MAX_NESTING, cut


def read_json(text: str) -> Any:
    """The value in a column. A value that an earlier version stored with too deep nesting is cut, so that it can be shown."""
    if text.count("[") + text.count("{") <= MAX_NESTING:
        return json.loads(text)
    try:
        return cut(json.loads(text))
    except RecursionError:
        return {}
