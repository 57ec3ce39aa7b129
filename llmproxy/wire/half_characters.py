"""Joins split surrogate pairs: some providers cut texts inside a character."""

from __future__ import annotations

import re
from typing import Any

from llmproxy.core.chat import Json

_REPLACED = "\ufffd"
_HALF = re.compile("[\ud800-\udfff]")


def mended(text: str) -> str:
    """The text with surrogate pairs joined and single surrogates replaced."""
    if _HALF.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def whole_characters(value: Any) -> Any:
    """The JSON value without single surrogates, also in names of members."""
    return Halves(hold=False).join(value)


def _indexes(event: Any) -> list[Any]:
    choices = event.get("choices") if isinstance(event, dict) else None
    return [one.get("index") if isinstance(one, dict) else None for one in choices] if isinstance(choices, list) else []


class Halves:
    """Takes the events of a stream. If a text ends with the first half of a pair, the half is removed and put before the text
    at the same place of the next event.
    """

    __slots__ = (
        "_hold",
        "_indexes",
        "held",
    )

    def __init__(self, *, hold: bool = True) -> None:
        self._hold = hold
        self.held: dict[tuple[str | int, ...], str] = {}  # first halves, by position
        self._indexes: list[Any] = []  # of the choices, by position

    def rest(self) -> list[Json]:
        """At the end of the stream: chunks with a replacement character for each half that was never completed."""
        texts = [
            (path[1], path[3]) for path in self.held if len(path) == 4 and path[0] == "choices" and path[2] == "delta"
        ]
        self.held = {}
        indexes = self._indexes
        return [{"choices": [{"index": indexes[int(at)], "delta": {str(key): _REPLACED}}]} for at, key in texts]

    def join(self, value: Any) -> Any:
        held, self.held = self.held, {}
        self._indexes = _indexes(value) or self._indexes
        made = self._walk(value, (), held)
        # The event has no text at this place: the half waits, unless the text has continued without it.
        self.held = {**held, **self.held} if self._hold else {}
        return made

    def _walk(self, value: Any, path: tuple[str | int, ...], held: dict[tuple[str | int, ...], str]) -> Any:
        if isinstance(value, str):
            return self._text(held.pop(path, "") + value, path)
        if isinstance(value, dict):
            return {mended(key): self._walk(inner, (*path, key), held) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._walk(inner, (*path, at), held) for at, inner in enumerate(value)]
        return value

    def _text(self, text: str, path: tuple[str | int, ...]) -> str:
        if self._hold and text and "\ud800" <= text[-1] <= "\udbff":
            self.held[path] = text[-1]
            text = text[:-1]
        return mended(text)
