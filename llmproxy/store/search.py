"""Full-text search over the messages and titles of one owner: newest first, linear in the rows that it reads, with a time limit."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError

from .connection import Rows, Sought

if TYPE_CHECKING:
    from .connection import Connection

T = TypeVar("T")
OPEN, CLOSE, CUT = "\u2039", "\u203a", "\u2026"
SECONDS = 1.0  # time limit of a search
_READ = 200_000  # characters of a message that are searched for a snippet
_BEFORE, _AFTER = 60, 140  # characters around the first word of the match

# Scripts without spaces between words, whose words are found anywhere: Han, kana and related scripts; Thai, Lao, Burmese,
# Khmer.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
_RUN = re.compile(f"[{_UNSPACED}]+")


class TookTooLong(GatewayError):
    """The search took too long; a rarer word may work."""

    status = 503
    code = "search_timeout"


def bounded(db: Connection, left: Event, job: Callable[[Connection], T]) -> T:
    """Runs `job` for at most SECONDS, and only while a caller waits for it (`left`). Raises TookTooLong."""
    try:
        with db.within(SECONDS, left.is_set):
            return job(db)
    except TimeoutError as error:
        raise TookTooLong("The search took too long. Search for a rarer word.") from error


def search(db: Connection, owner: str, words: str, limit: int = 50) -> list[Json]:
    """`{"thread_id", "title", "message_id", "snippet"}`: messages that contain all words, then titles that do.

    The last word may be a prefix, if it has two letters and too few messages contain it as a word. A query without words finds
    nothing.
    """
    runs, found = _RUN.findall(words), re.findall(r"\w+", _RUN.sub(" ", words))
    if not found and not runs:
        return []
    marks, sought = _marks(words), Sought(owner, found, runs, _READ, limit)
    found = [_found(row, marks) for row in _enough(db.messages_with, sought)]
    there = {one["thread_id"] for one in found}
    titled = (_found(row, marks) for row in _enough(db.titled, sought))
    return [*found, *(one for one in titled if one["thread_id"] not in there)][:limit]


def _enough(look: Callable[[Sought], Rows], sought: Sought) -> list[Json]:
    """Messages that contain all words as they are, if these are enough: the index returns them newest first, so no more is
    read.

    Words with a common prefix must all be read to their end.
    """
    found = look(replace(sought, whole=True)).fetchall()
    if len(found) < sought.most and sought.beginning:
        found = look(sought).fetchall()
    return [dict(row) for row in found]


def _found(row: Json, marks: re.Pattern[str]) -> Json:
    text = row.pop("text")
    folded = text if text.isascii() else text.translate(_BASES)  # letter for letter, so that places are the same
    first = marks.search(folded)
    at = first.start() if first is not None else 0
    begin, end = max(0, at - _BEFORE), min(len(text), at + _AFTER)
    piece, done = "", begin
    for one in marks.finditer(folded, begin, end):
        piece += f"{text[done : one.start()]}{OPEN}{text[one.start() : one.end()]}{CLOSE}"
        done = one.end()
    piece += text[done:end]
    return {**row, "snippet": f"{CUT if begin else ''}{piece}{CUT if end < len(text) else ''}"}


class _Bases(dict[int, int]):
    """Each letter without its diacritics, as in the index; looked up once."""

    def __missing__(self, letter: int) -> int:
        base = self[letter] = ord(unicodedata.normalize("NFKD", chr(letter))[0])
        return base


_BASES = _Bases()


def _marks(words: str) -> re.Pattern[str]:
    """Finds the words in a text; the last one may be a prefix."""
    inside = [re.escape(run.translate(_BASES)) for run in _RUN.findall(words)]
    found = re.findall(r"\w+", _RUN.sub(" ", words).translate(_BASES))
    whole = [rf"\b{re.escape(word)}\b" for word in found[:-1]]
    last = [rf"\b{re.escape(word)}\w*" if len(word) > 1 else rf"\b{re.escape(word)}\b" for word in found[-1:]]
    return re.compile("|".join([*inside, *whole, *last]), re.IGNORECASE)
