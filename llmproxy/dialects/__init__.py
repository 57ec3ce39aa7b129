"""The dialects of clients and providers, without I/O: one package for each.

May import wire, config and core; dialects do not import each other. Begin with chat_completions/request.py. A dialect
other than OpenAI's chat is an object that implements core/dialect.py; `find` returns it by name.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmproxy.core.dialect import Dialect

NAMES = ("messages", "responses", "gemini")  # OpenAI's older forms need no object


@cache
def find(name: str) -> Dialect | None:
    """The dialect with this name, imported on first use; None for OpenAI's chat completions, completions and
    embeddings.
    """
    if name not in NAMES:
        return None
    found: Dialect = importlib.import_module(f"{__name__}.{name}.dialect").DIALECT
    return found
