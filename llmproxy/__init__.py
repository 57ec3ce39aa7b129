"""A light LLM gateway: the APIs of OpenAI, Anthropic and Gemini in front of every model provider.

`app` and `serving` put it into a program of yours; they are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .server.process.embedded import app as app
    from .server.process.embedded import serving as serving

__version__ = "0.1.0"
__all__ = ["__version__", "app", "serving"]


def __getattr__(name: str) -> Any:
    if name in ("app", "serving"):
        return getattr(importlib.import_module(f"{__name__}.server.process.embedded"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
