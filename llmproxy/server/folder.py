"""Where the platform wants a program's data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..config import Config


def folder(config: Config) -> Path:
    if config.storage.dir:
        return Path(config.storage.dir).expanduser()
    home = os.environ.get("XDG_DATA_HOME")
    base = (
        Path(home)
        if home
        else Path.home() / ("Library/Application Support" if sys.platform == "darwin" else ".local/share")
    )
    return base / "llmproxy"
