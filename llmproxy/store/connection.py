"""The connection that jobs of the store use: SQL that all engines understand.

SQL is written once: TEXT, BIGINT, DOUBLE PRECISION and BLOB or BYTEA, whole numbers for truth values, `?` and `:name` for
parameters, ON CONFLICT and RETURNING. Where engines have different words for one thing, `Sql` has them; where they do
different things, the connection has a method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

Parameters = Sequence[Any] | Mapping[str, Any]
Row = Any  # its values by name and by position, `keys()`, and as an iterator


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Row: ...
    def fetchall(self) -> list[Row]: ...
    def __iter__(self) -> Iterator[Row]: ...


@dataclass(frozen=True, slots=True)
class Sql:
    """One engine's words. Each is a template for `str.format`.

    list_of: all values of {0}, as a JSON list. pair: {0} and {1} as a JSON list. with_member: the JSON object {0} with the
    text of the next parameter as its member {1}. among: the texts in a JSON list, which is the parameter. day: the UTC date
    of {0}, Unix seconds. whole: {0} without its fraction, if it is not negative. octets: how many bytes of
    UTF-8 the text {0} has. nul: what is kept of a NUL in a text. like: LIKE, whatever the case of letters.
    tape_end: where a piece {0} of a tape ends in the log of all tapes, counted in tape_unit bytes.
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
    """What of one owner says all `words`, the last of which may be the beginning of one, and contains all `runs`.

    beginning: whether it may; a single letter stands for itself, or half of everything would be found, and so do all `whole`.
    read: characters of each message that are given. most: how many messages.
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
    """Of one thread. Between two jobs no transaction is open."""

    @property
    def sql(self) -> Sql: ...
    @property
    def in_transaction(self) -> bool: ...
    @property
    def lost(self) -> bool:
        """The database is no longer at the other end."""

    def execute(self, sql: str, parameters: Parameters = ..., /) -> Rows: ...
    def close(self) -> None: ...

    def lock(self, table: str, id: str) -> None:
        """Keeps other writers from the row of this id until the transaction ends."""

    def alone(self, what: str) -> bool:
        """Whether this transaction may do this, as no other one is doing it; none will until it ends."""

    def lives(self, process: str) -> bool:
        """Whether a process counts as alive, and will until the transaction ends."""

    def index(self, message_id: str, text: str) -> None:
        """Lets a message that grows no more be found by its words."""

    def forget_words(self) -> None:
        """Messages were deleted: `compact` is to remove their words from the index for good."""

    def compact(self) -> bool:
        """Does a part of what is left behind by deleting: words in the index, free space. Gives whether there is more."""

    @property
    def crowded(self) -> bool:
        """Whether so many changes wait for a reader to end that further work should wait too."""

    def number_on(self) -> None:
        """Rows that were copied with their numbers are there: new ones go on behind them."""

    def said(self, what: Sought) -> Rows:
        """Messages: thread_id, title, message_id, text; the newest first."""

    def titled(self, what: Sought) -> Rows:
        """The same of threads by their titles: message_id is the thread's head, text its title."""

    def within(self, seconds: float, left: Callable[[], bool]) -> AbstractContextManager[None]:
        """Ends what is executed in the block after so long, or when `left` says so. Raises TimeoutError then."""
