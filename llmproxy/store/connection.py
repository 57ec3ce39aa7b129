"""The connection that jobs of the store use: SQL that all engines understand.

SQL is written once: TEXT, BIGINT, DOUBLE PRECISION and BLOB or BYTEA, integers for booleans, `?` and `:name` for parameters, ON
CONFLICT and RETURNING. If engines have different syntax for the same thing, `Sql` has it; if they work differently, the
connection has a method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

Parameters = Sequence[Any] | Mapping[str, Any]
Row = Any  # values by name and by position, `keys()`, and iteration


class Rows(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Row: ...
    def fetchall(self) -> list[Row]: ...
    def __iter__(self) -> Iterator[Row]: ...


@dataclass(frozen=True, slots=True)
class Sql:
    """The SQL syntax of one engine. Each member is a template for `str.format`.

    list_of: all values of {0}, as a JSON list. pair: {0} and {1} as a JSON list. with_member: the JSON object {0} with the text
    of the next parameter as its member {1}. among: the texts in a JSON list, which is the parameter. day: the UTC date of {0},
    Unix seconds. whole: {0} without its fraction, if it is not negative. octets: the number of UTF-8 bytes of the text {0}.
    nul: the replacement for a NUL in a text. like: case-insensitive LIKE. tape_end: the position where a piece {0} of a tape
    ends in the log of all tapes, in tape_unit bytes.
    """

    list_of: str
    pair: str
    with_member: str
    among: str
    day: str
    whole: str
    octets: str
    nul: str
    like: str
    tape_end: str
    tape_unit: int


@dataclass(frozen=True, slots=True)
class Sought:
    """A search: texts of one owner that contain all `words`, the last of which may be a prefix, and all `runs`.

    beginning: whether the last word may be a prefix; not for a single letter, which would match too much, and not for `whole`
    words. read: characters of each message to return. most: number of messages.
    """

    owner: str
    words: Sequence[str]
    runs: Sequence[str]
    read: int
    most: int
    whole: bool = False

    @property
    def beginning(self) -> bool:
        return not self.whole and bool(self.words) and len(self.words[-1]) > 1


class Connection(Protocol):
    """The connection of one thread. Between two jobs no transaction is open."""

    @property
    def sql(self) -> Sql: ...
    @property
    def in_transaction(self) -> bool: ...
    @property
    def lost(self) -> bool:
        """Whether the connection to the database is lost."""

    def execute(self, sql: str, parameters: Parameters = ..., /) -> Rows: ...
    def close(self) -> None: ...

    def lock(self, table: str, id: str) -> None:
        """Locks the row with this ID against other writers until the transaction ends."""

    def alone(self, what: str) -> bool:
        """Whether this transaction is the only one doing this, until it ends."""

    def lives(self, process: str) -> bool:
        """Whether a process is considered alive; it stays so until the transaction ends."""

    def index(self, message_id: str, text: str) -> None:
        """Adds a finished message to the word index."""

    def forget_words(self) -> None:
        """Messages were deleted: `compact` must remove their words from the index."""

    def compact(self) -> bool:
        """Removes a part of what deletions left: words in the index, free space. Returns whether there is more."""

    @property
    def crowded(self) -> bool:
        """Whether so many changes wait for a reader to end that background work should wait too."""

    def number_on(self) -> None:
        """After rows were copied with their numbers: new rows get higher numbers."""

    def messages_with(self, what: Sought) -> Rows:
        """Messages that match: thread_id, title, message_id, text; the newest first."""

    def titled(self, what: Sought) -> Rows:
        """Threads whose titles match: message_id is the thread's head, text its title."""

    def within(self, seconds: float, left: Callable[[], bool]) -> AbstractContextManager[None]:
        """Stops statements in the block after so many seconds, or when `left` returns true. Raises TimeoutError then."""
