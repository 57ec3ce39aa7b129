"""Detects whether a JSON object that arrives in pieces is complete, by looking only at brackets, quotes and backslashes."""

from __future__ import annotations

import re
from typing import Literal

State = Literal["empty", "open", "whole", "broken"]

_MARKS = re.compile(r'["\\{}\[\]]')


class JsonEnd:
    """Takes the pieces of a text. `state`: empty (only whitespace so far), open, whole (the last bracket is closed), or broken
    (it does not begin with a bracket, or continues after its end).
    """

    __slots__ = ("_depth", "_escaped", "_in_text", "state")

    def __init__(self) -> None:
        self.state: State = "empty"
        self._depth = 0
        self._in_text = self._escaped = False

    def feed(self, piece: str) -> None:
        if self.state == "empty":
            piece = piece.lstrip()
            if piece:
                self.state = "open" if piece[0] in "{[" else "broken"
        if self.state == "whole" and piece.strip():
            self.state = "broken"
        if self.state == "open":
            self._walk(piece)

    def _walk(self, piece: str) -> None:
        at = 0
        if self._escaped and piece:  # the character after a backslash that ended the last piece
            self._escaped, at = False, 1
        while (found := _MARKS.search(piece, at)) is not None:
            mark, at = found[0], found.end()
            if self._in_text:
                at = self._in_string(mark, at, len(piece))
            elif mark == '"':
                self._in_text = True
            elif mark in "{[":
                self._depth += 1
            elif mark in "}]":
                self._depth -= 1
                if self._depth == 0:
                    self.state = "broken" if piece[at:].strip() else "whole"
                    return

    def _in_string(self, mark: str, at: int, end: int) -> int:
        """The position to continue from, inside a string."""
        if mark == '"':
            self._in_text = False
        elif mark == "\\":
            self._escaped = at >= end
            return at + 1
        return at
