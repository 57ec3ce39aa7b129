"""Joins halves of surrogate pairs: some providers cut texts inside a character."""

from __future__ import annotations

import re
from typing import Any

from llmproxy.core.chat import Json

_REPLACED = "\ufffd"
_HALF = re.compile("[\ud800-\udfff]")


def mended(text: str) -> str:
    """The text with pairs put together and halves that stand alone replaced."""
    if _HALF.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def whole_characters(value: Any) -> Any:
    """The JSON value without halves, in names too."""
    return Halves(hold=False).join(value)


def _indexes(event: Any) -> list[Any]:
    choices = event.get("choices") if isinstance(event, dict) else None
    return [one.get("index") if isinstance(one, dict) else None for one in choices] if isinstance(choices, list) else []


class Halves:
    """Takes a stream's events: a text that ends in a first half is given without it, and the half begins the text that
    stands at the same place of the next event."""

    def __init__(self, *, hold: bool = True) -> None:
        self._hold = hold
        self._held: dict[tuple[str | int, ...], str] = {}
        self._indexes: list[Any] = []  # of the choices, by their places

    def rest(self) -> list[Json]:
        """At the end: chunks that replace the halves whose other half never came."""
        texts = [
            (path[1], path[3]) for path in self._held if len(path) == 4 and path[0] == "choices" and path[2] == "delta"
        ]
        self._held = {}
        indexes = self._indexes
        return [{"choices": [{"index": indexes[int(at)], "delta": {str(key): _REPLACED}}]} for at, key in texts]

    @property
    def waiting(self) -> bool:
        return bool(self._held)

    def join(self, value: Any) -> Any:
        held, self._held = self._held, {}
        self._indexes = _indexes(value) or self._indexes
        made = self._walk(value, (), held)
        # A place that this event has not: its half waits, unless the text has gone on without it.
        self._held = {**held, **self._held} if self._hold else {}
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
            self._held[path] = text[-1]
            text = text[:-1]
        return mended(text)
