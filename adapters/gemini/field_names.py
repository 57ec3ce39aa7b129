"""Which members of a request have been rendered; the others cannot be carried and are dropped with a trace."""

from __future__ import annotations

import re
from typing import Any

from llmproxy.adapter_kit import Json


class Members:
    """The members of a request body, each taken by whoever renders it; what is left cannot be carried."""

    def __init__(self, body: Json) -> None:
        self._body = body
        self._taken: set[str] = set()
        self.lost: list[str] = []  # pieces of members that were taken, but not in whole

    def see(self, name: str) -> Any:
        return self._body.get(name)

    def take(self, *names: str) -> Any:
        """The first of these members that is there; none of them is left."""
        self._taken.update(names)
        return next((self._body[name] for name in names if self._body.get(name) is not None), None)

    def left(self) -> list[str]:
        return [name for name in self._body if name not in self._taken]


def camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name)
