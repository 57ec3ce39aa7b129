"""How clients speak, without I/O: one folder for each dialect, with what it reads and what it writes.

May import wire, config and core; dialects do not import each other. Begin with chat_completions/request.py; a dialect that
is not OpenAI's chat is an object with the contract of core/dialect.py, found here by name.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmproxy.core.dialect import Dialect

NAMES = ("messages", "responses", "gemini")  # beside OpenAI's older forms, which need no object


@cache
def find(name: str) -> Dialect | None:
    """The dialect of this name, loaded when it is first asked for; None for OpenAI's older forms."""
    if name not in NAMES:
        return None
    found: Dialect = importlib.import_module(f"{__name__}.{name}.dialect").DIALECT
    return found
