"""Whether output may be coloured: on a terminal, unless NO_COLOR is set (https://no-color.org)."""

from __future__ import annotations

import os
from typing import TextIO


def is_coloured(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR")
