"""Function names as Gemini takes them, and the way back to the client's own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2s

from llmproxy.adapter_kit import Json

from .json_types import an_object, objects, text

LONGEST = 64  # newer models take 128; what OpenAI allows always fits
_TAKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
_REFUSED = re.compile(r"[^A-Za-z0-9_.:-]")
_PREFIX = re.compile(r"default_api[.:]")  # how some models write the namespace of a declared function


class Names:
    """The names of one request: those that Gemini refuses are written otherwise, always in the same way."""

    def __init__(self, declared: Iterable[str] = ()) -> None:
        self._theirs: dict[str, str] = {}
        self._ours: dict[str, str] = {}
        for name in sorted(set(declared), key=lambda name: (not _fits(name), name)):  # names that fit stay as they are
            self.theirs(name)

    def theirs(self, name: str) -> str:
        """The name as Gemini is told it."""
        if name not in self._theirs:
            written = name if _fits(name) else _rewritten(name)
            if self._ours.get(written, name) != name:
                written = _marked(written, name)
            self._theirs[name], self._ours[written] = written, name
        return self._theirs[name]

    def ours(self, name: str) -> str:
        """The client's name for what Gemini calls."""
        if name in self._ours:
            return self._ours[name]
        bare = _PREFIX.sub("", name, count=1)
        return self._ours.get(bare, name)


def declared(body: Json) -> list[str]:
    """The names of the functions that a request declares."""
    functions = [an_object(tool.get("function")) for tool in objects(body.get("tools"))]
    return [name for one in functions if (name := text(one.get("name")))]


def _fits(name: str) -> bool:
    return len(name) <= LONGEST and _TAKEN.fullmatch(name) is not None


def _rewritten(name: str) -> str:
    written = _REFUSED.sub("_", name)
    if not written[:1].isalpha() and written[:1] != "_":
        written = f"_{written}"
    return written if len(written) <= LONGEST else _marked(written, name)


def _marked(written: str, name: str) -> str:
    """Cut, with a mark of the whole name, so that no two names become one."""
    mark = blake2s(name.encode(errors="replace"), digest_size=4).hexdigest()
    return f"{written[: LONGEST - len(mark) - 1]}_{mark}"
