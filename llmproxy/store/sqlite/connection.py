"""A connection to SQLite, with what the store asks of every engine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..connection import Rows, Sought, Sql

_STEPS = 2_000  # of SQLite's machine between two looks at the clock
_WORDS = Sql(
    list_of="json_group_array({})",
    pair="json_array({}, {})",
    with_member="json_set({}, '$.{}', ?)",
    among="(SELECT value FROM json_each(?))",
    day="date({}, 'unixepoch')",
    whole="CAST({} AS INTEGER)",
    like="LIKE",
    tape_end="(SELECT coalesce(max(ends), 0) FROM tapes) + length({})",
    tape_unit=1,
)
_FOUND = "SELECT t.id AS thread_id, t.title, m.id AS message_id, substr(m.text, 1, :read) AS text"
_BY_WORDS = f"""
{_FOUND} FROM words JOIN messages m ON m.seq = words.rowid JOIN threads t ON t.id = m.thread_id
WHERE words MATCH :query AND t.owner = :owner AND t.deleted_at IS NULL ORDER BY words.rowid DESC LIMIT :most"""
# The index knows only whole runs of letters, so the messages themselves are looked through, those first that have the words.
_INSIDE = f"""
{_FOUND} FROM messages m JOIN threads t ON t.id = m.thread_id
WHERE {{indexed}} m.state <> 'streaming' AND t.owner = :owner AND t.deleted_at IS NULL AND {{inside}}
ORDER BY m.seq DESC LIMIT :most"""
_INDEXED = "m.seq IN (SELECT rowid FROM words WHERE words MATCH :query) AND"


class SqliteConnection(sqlite3.Connection):
    """There is one writer at a time, which has the whole database: rows need no locks. Triggers keep the index of words."""

    sql = _WORDS
    lost = False

    def lock(self, table: str, id: str) -> None:
        pass

    def alone(self, what: str) -> bool:
        return True

    def lives(self, process: str) -> bool:
        return True  # it holds a lock that ends with it and not before

    def index(self, message_id: str, text: str) -> None:
        pass

    def forget_words(self) -> None:
        self.execute("INSERT INTO words (words) VALUES ('optimize')")

    def said(self, what: Sought) -> Rows:
        asked = {"read": what.read, "query": _query(what.words), "owner": what.owner, "most": what.most}
        if not what.runs:
            return self.execute(_BY_WORDS, asked)
        names = {f"run{number}": run for number, run in enumerate(what.runs)}
        inside = " AND ".join(f"instr(m.text, :{name}) > 0" for name in names)
        indexed = _INDEXED if what.words else ""
        return self.execute(_INSIDE.format(indexed=indexed, inside=inside), {**asked, **names})

    @contextmanager
    def within(self, seconds: float, left: Callable[[], bool]) -> Iterator[None]:
        deadline = time.monotonic() + seconds
        self.set_progress_handler(lambda: left() or time.monotonic() > deadline, _STEPS)
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname == "SQLITE_INTERRUPT":
                raise TimeoutError from error
            raise
        finally:
            self.set_progress_handler(None, 0)


def _query(words: object) -> str:
    """What FTS5 is asked: each word quoted, so that nothing in it is an operator."""
    quoted = " ".join(f'"{word}"' for word in words) if isinstance(words, (list, tuple)) else ""
    return f"{quoted}*" if quoted else ""
