"""Names and ids as Messages takes them, the same whenever the same request is read, and the way back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2s

from llmproxy.core.chat import Json

LONGEST = 128
_REFUSED = re.compile(r"[^a-zA-Z0-9_-]")


class ToolNames:
    """The names of one request's tools: those that are refused are written otherwise."""

    def __init__(self, declared: Iterable[str] = ()) -> None:
        self._theirs: dict[str, str] = {}
        self._ours: dict[str, str] = {}
        for name in sorted(set(declared), key=lambda name: (not _fits(name), name)):  # names that fit stay as they are
            self.theirs(name)

    def theirs(self, name: str) -> str:
        """The name as the provider is told it."""
        if name not in self._theirs:
            written = name if _fits(name) else plain(name)
            if len(written) > LONGEST or self._ours.get(written, name) != name:
                written = _marked(written, name)
            self._theirs[name], self._ours[written] = written, name
        return self._theirs[name]

    def ours(self, name: str) -> str:
        """The client's name for what the model calls."""
        return self._ours.get(name, name)


def declared(body: Json) -> list[str]:
    """The names of the functions and custom tools that a chat request declares."""
    tools = body.get("tools")
    found = []
    for tool in tools if isinstance(tools, list) else ():
        inner = tool.get(tool.get("type")) if isinstance(tool, dict) and isinstance(tool.get("type"), str) else None
        if isinstance(inner, dict) and isinstance(inner.get("name"), str) and inner["name"]:
            found.append(inner["name"])
    return found


def customs(body: Json) -> frozenset[str]:
    """The names of the custom tools that a chat request declares."""
    tools = body.get("tools")
    inner = (tool.get("custom") for tool in tools if isinstance(tool, dict)) if isinstance(tools, list) else ()
    return frozenset(one["name"] for one in inner if isinstance(one, dict) and isinstance(one.get("name"), str))


def plain(text: str) -> str:
    """With `_` for every letter that is refused."""
    return _REFUSED.sub("_", text)


def _fits(name: str) -> bool:
    return 0 < len(name) <= LONGEST and _REFUSED.search(name) is None


def _marked(written: str, name: str) -> str:
    """Cut, with a mark of the whole name, so that no two names become one."""
    mark = blake2s(name.encode(errors="replace"), digest_size=4).hexdigest()
    return f"{written[: LONGEST - len(mark) - 1]}_{mark}"
