"""The words of a text for the index: without case and diacritics, split at all characters that are not letters or digits.

They are computed here and not by the server, because the server's idea of a letter depends on the locale of the database.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+")
_MOST = 900_000  # bytes of one message: PostgreSQL takes a little over a million
_LONGEST = 1_000  # bytes of one word: it takes 2,046. What is longer is no word


def lexemes(text: str) -> list[str]:
    """Each word once; of a very long text, only those at its beginning."""
    found: dict[str, None] = {}
    size = 0
    for word in _WORD.findall(_plain(text)):
        if word in found or (length := len(word.encode("utf-8", "replace"))) > _LONGEST:
            continue
        size += length + 4
        if size > _MOST:
            break
        found[word] = None
    return list(found)


def query(words: Sequence[str], *, beginning: bool = True) -> str:
    """A tsquery for all words, the last of which may be a prefix."""
    return _all(_WORD.findall(_plain(" ".join(words))), beginning)


def as_written(words: Sequence[str], *, beginning: bool) -> str:
    """The same for text that the server has split into words itself, which keep their diacritics."""
    return _all(_WORD.findall(" ".join(words)), beginning)


def _all(words: Sequence[str], beginning: bool) -> str:
    quoted = " & ".join(f"'{word}'" for word in words)
    return f"{quoted}:*" if quoted and beginning else quoted


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    return "".join([one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one)]).lower()
