"""A connection to SQLite, with the methods that the store needs from every engine."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..connection import Rows, Sought, Sql

# Python's module looks for an adapter of each value that is neither number nor text, which costs twice as much as binding it.
sqlite3.register_adapter(type(None), lambda nothing: nothing)
sqlite3.register_adapter(bool, int)

_STEPS = 2_000  # steps of SQLite's virtual machine between two checks of the clock
_MOST_LOG = 32 * 1024 * 1024  # bytes
_PAGES = 256  # of one slice of work
_SPARE = 1024  # free pages that are kept
_INCREMENTAL = 2  # of auto_vacuum
_BEGIN, _GO_ON = 1.0, 2.0  # the merge of all index segments, and its continuation
_INDEXES = ("words", "titles")
_TO_MERGE = "INSERT INTO progress (id, place) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET place = excluded.place"
_WORDS = Sql(
    list_of="json_group_array({})",
    pair="json_array({}, {})",
    with_member="json_set({}, '$.{}', ?)",
    among="(SELECT value FROM json_each(?))",
    day="date({}, 'unixepoch')",
    whole="CAST({} AS INTEGER)",
    octets="length(CAST({} AS BLOB))",
    nul="\0",
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
_TITLED = """
SELECT t.id AS thread_id, t.title, t.head AS message_id, t.title AS text
FROM {titles} WHERE {indexed} t.owner = :owner AND t.deleted_at IS NULL {inside} ORDER BY {newest} DESC LIMIT :most"""
_INDEXED = "m.seq IN (SELECT rowid FROM words WHERE words MATCH :query) AND"


class SqliteConnection(sqlite3.Connection):
    """There is one writer at a time, which locks the whole database, so rows need no locks. Triggers maintain the word index."""

    sql = _WORDS
    lost = False
    log: str | None = None  # the write-ahead log

    def lock(self, table: str, id: str) -> None:
        pass

    def alone(self, what: str) -> bool:
        return True

    def lives(self, process: str) -> bool:
        return True  # it holds a lock that ends with it and not before

    def index(self, message_id: str, text: str) -> None:
        pass

    @property
    def crowded(self) -> bool:
        try:
            return self.log is not None and os.stat(self.log).st_size > _MOST_LOG
        except OSError:
            return False

    def forget_words(self) -> None:
        for index in _INDEXES:
            self.execute(_TO_MERGE, (index, _BEGIN))

    def compact(self) -> bool:
        return any(self._merged(index) for index in _INDEXES) or self._shrunk()

    def _merged(self, index: str) -> bool:
        """Deleted words stay in the index's segments until these are merged: all into one, so many pages at a time."""
        row = self.execute("SELECT place FROM progress WHERE id = ?", (index,)).fetchone()
        if row is None or not row[0]:
            return False
        before, pages = self.total_changes, -_PAGES if row[0] == _BEGIN else _PAGES
        self.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('merge', ?)", (pages,))
        more = self.total_changes - before >= 2  # as SQLite's documentation says
        self.execute(_TO_MERGE, (index, _GO_ON if more else 0.0))
        return more

    def _shrunk(self) -> bool:
        """Returns free pages to the file system, except some that will be needed soon."""
        [[mode], [free]] = [self.execute(f"PRAGMA {name}").fetchone() for name in ("auto_vacuum", "freelist_count")]
        if mode != _INCREMENTAL or free <= _SPARE:
            return False
        self.execute(f"PRAGMA incremental_vacuum({min(_PAGES, free - _SPARE)})").fetchall()
        return bool(free - _PAGES > _SPARE)

    def number_on(self) -> None:
        pass

    def messages_with(self, what: Sought) -> Rows:
        params = {"read": what.read, "query": _query(what), "owner": what.owner, "most": what.most}
        if not what.runs:
            return self.execute(_BY_WORDS, params)
        inside, runs = _inside("m.text", what.runs)
        indexed = _INDEXED if what.words else ""
        return self.execute(_INSIDE.format(indexed=indexed, inside=inside), {**params, **runs})

    def titled(self, what: Sought) -> Rows:
        inside, runs = _inside("t.title", what.runs)
        how = {
            "titles": "titles JOIN threads t ON t.seq = titles.rowid" if what.words else "threads t",
            "indexed": "titles MATCH :query AND" if what.words else "",
            "newest": "titles.rowid" if what.words else "t.seq",
            "inside": f"AND {inside}" if inside else "",
        }
        params = {"query": _query(what), "owner": what.owner, "most": what.most}
        return self.execute(_TITLED.format(**how), {**params, **runs})

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


def _query(what: Sought) -> str:
    """The FTS5 query: each word is quoted, so that it cannot be an operator."""
    quoted = " ".join(f'"{word}"' for word in what.words)
    return f"{quoted}*" if what.beginning else quoted


def _inside(column: str, runs: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The condition that a column contains all of these, and its parameters."""
    named = {f"run{number}": run for number, run in enumerate(runs)}
    return " AND ".join(f"instr({column}, :{name}) > 0" for name in named), named
