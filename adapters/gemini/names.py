"""Function names as Gemini takes them, and the way back to the client's own."""

from __future__ import annotations

import re

from llmproxy.adapter_kit import Json, ToolNames

from .json_types import an_object, objects, text

_PREFIX = re.compile(r"default_api[.:]")  # how some models write the namespace of a declared function


class Names(ToolNames):
    """Letters, digits and `_.:-`, a letter or `_` first."""

    longest = 64  # newer models take 128; what OpenAI allows always fits
    allowed = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
    refused = re.compile(r"[^A-Za-z0-9_.:-]")

    @classmethod
    def rewritten(cls, name: str) -> str:
        written = super().rewritten(name)
        return written if written[:1].isalpha() or written[:1] == "_" else f"_{written}"

    def ours(self, name: str) -> str:
        """The client's name, also without the namespace."""
        return self._ours.get(name) or self._ours.get(_PREFIX.sub("", name, count=1), name)


def declared(body: Json) -> list[str]:
    """The names of the functions that a request declares."""
    functions = [an_object(tool.get("function")) for tool in objects(body.get("tools"))]
    return [name for one in functions if (name := text(one.get("name")))]
