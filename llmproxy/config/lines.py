"""Line numbers of the keys in a TOML text; tomllib does not provide them."""

from __future__ import annotations

import re
import tomllib
from typing import NamedTuple

from .errors import Path

# Distinguishes only keys and values. tomllib has parsed the text before, so everything else may be skipped.
_TOKEN = re.compile(
    r"""
    (?P<comment> \#[^\n]* )
  | (?P<string>  \"{3} (?:\\.|[^\\])*? \"{3,5} | '{3} .*? '{3,5} | "(?:\\.|[^"\\\n])*" | '[^'\n]*' )
  | (?P<newline> \n )
  | (?P<mark>    [\[\]{}=,.] )
  | (?P<word>    [^\s\[\]{}=,.\#"']+ )
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    kind: str
    text: str
    line: int

    def unquoted(self) -> str:
        return str(tomllib.loads(f"key = {self.text}")["key"]) if self.kind == "string" else self.text


END = Token("end", "", 0)


def line_of(text: str, path: Path) -> int:
    """The 1-based line of the key at `path`, or of the nearest table around it. 1 if neither exists."""
    lines = Scanner(text).lines
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class Scanner:
    """One pass over a valid TOML text. `lines` has the line of every key, table and array element."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._lengths: dict[Path, int] = {}  # of arrays of tables so far
        self._tokens = _tokens(text)
        self._at = 0
        table: Path = ()
        while (token := self._skip("newline")) is not END:
            if token.text == "[" and token.kind == "mark":
                table = self._header()
            else:
                self._pair(table)

    def _peek(self) -> Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else END

    def _next(self) -> Token:
        token = self._peek()
        self._at += 1
        return token

    def _skip(self, *kinds_or_marks: str) -> Token:
        while self._peek().kind in kinds_or_marks or self._peek().text in kinds_or_marks:
            self._at += 1
        return self._peek()

    def _header(self) -> Path:
        """`[a.b]` or `[[a.b]]`; returns the path to which the following keys belong."""
        line = self._next().line
        many = self._peek() == Token("mark", "[", line)
        self._at += many
        path = self._inside(self._key("]"))
        self._at += many
        if many:
            self._lengths[path] = self._lengths.get(path, 0) + 1
            self.lines.setdefault(path, line)
            path = (*path, self._lengths[path] - 1)
        self.lines.setdefault(path, line)
        return path

    def _inside(self, keys: list[str]) -> Path:
        """A header's keys, with the index of the latest element after each array of tables."""
        path: Path = ()
        for depth, key in enumerate(keys):
            path = (*path, key)
            if path in self._lengths and depth < len(keys) - 1:
                path = (*path, self._lengths[path] - 1)
        return path

    def _key(self, end: str) -> list[str]:
        parts: list[str] = []
        while (token := self._next()) is not END and (token.kind == "string" or token.text != end):
            if token.kind != "mark":
                parts.append(token.unquoted())
        return parts

    def _pair(self, table: Path) -> None:
        line = self._peek().line
        path = table
        for part in self._key("="):
            path = (*path, part)
            self.lines.setdefault(path, line)
        self._value(path)

    def _value(self, path: Path) -> None:
        opening = self._next()
        if opening.kind == "mark" and opening.text == "[":
            self._array(path)
        elif opening.kind == "mark" and opening.text == "{":
            while self._skip("newline", ",").text not in ("}", ""):
                self._pair(path)
            self._next()
        else:
            while self._peek().kind in ("word", "string") or self._peek().text == ".":
                self._next()

    def _array(self, path: Path) -> None:
        index = 0
        while (token := self._skip("newline", ",")).text != "]" and token is not END:
            self.lines[(*path, index)] = token.line
            self._value((*path, index))
            index += 1
        self._next()


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "comment":
            tokens.append(Token(kind, match.group(), line))
        line += match.group().count("\n")
    return tokens
