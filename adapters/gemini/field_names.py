"""Tracks which members of a request were converted; the others are dropped and reported."""

from __future__ import annotations

import re
from typing import Any

from llmproxy.adapter_kit import Json


class Members:
    """The members of a request body. Each converter takes its own; what is left is unsupported."""

    def __init__(self, body: Json) -> None:
        self._body = body
        self._taken: set[str] = set()
        self.lost: list[str] = []  # parts of taken members that were not converted

    def see(self, name: str) -> Any:
        return self._body.get(name)

    def take(self, *names: str) -> Any:
        """The first of these members that is set; all of them count as taken."""
        self._taken.update(names)
        return next((self._body[name] for name in names if self._body.get(name) is not None), None)

    def left(self) -> list[str]:
        return [name for name in self._body if name not in self._taken]


def camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name)
