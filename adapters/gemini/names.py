"""Converts function names to a form that Gemini accepts, and back."""

from __future__ import annotations

import re

from llmproxy.adapter_kit import Json, ToolNames

from .json_types import an_object, objects, text

_PREFIX = re.compile(r"default_api[.:]")  # the namespace that some models put before a declared name


class Names(ToolNames):
    """The names of one request. Gemini accepts letters, digits and `_.:-`, with a letter or `_` first."""

    longest = 64  # newer models accept 128; OpenAI allows 64
    allowed = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
    refused = re.compile(r"[^A-Za-z0-9_.:-]")
    customs: frozenset[str] = frozenset()  # the client's names of tools that take any text

    @classmethod
    def of(cls, body: Json) -> Names:
        """The names of the tools that a request declares."""
        tools = objects(body.get("tools"))
        functions, customs = (_named(tools, kind) for kind in ("function", "custom"))
        names = cls([*functions, *customs])
        names.customs = frozenset(customs)
        return names

    @classmethod
    def rewritten(cls, name: str) -> str:
        written = super().rewritten(name)
        return written if written[:1].isalpha() or written[:1] == "_" else f"_{written}"

    def ours(self, name: str) -> str:
        """The client's name for a name in an answer, with or without the namespace."""
        return self._ours.get(name) or self._ours.get(_PREFIX.sub("", name, count=1), name)


def _named(tools: list[Json], kind: str) -> list[str]:
    return [name for tool in tools if (name := text(an_object(tool.get(kind)).get("name")))]
