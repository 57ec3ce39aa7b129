"""A connection to PostgreSQL, with the methods that the store needs from every engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import ConnStatus, TransactionStatus

from ..connection import Parameters, Rows, Sought, Sql
from .lexemes import as_written, lexemes, query
from .placeholders import numbered, ordered
from .types import NUL

_LOOK = 0.05  # seconds between two checks of the clock while the server works
_WORDS = Sql(
    list_of="coalesce(json_agg({}), '[]'::json)::text",
    pair="json_build_array({}, {})::text",
    with_member="jsonb_set({}::jsonb, '{{{}}}', to_jsonb(?::text))::text",
    among="(SELECT json_array_elements_text(?::json))",
    day="to_char(to_timestamp({}) AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    whole="floor({})::bigint",
    octets="octet_length({})",
    nul=NUL,
    like="ILIKE",
    # A sequence, as all replicas write at once and none may wait for another's commit.
    tape_end="(SELECT max(nextval('tape_ends')) FROM generate_series(0, length({}) / 64))",
    tape_unit=64,
)
_MESSAGES_WITH = """
SELECT t.id AS thread_id, t.title, m.id AS message_id, substr(m.text, 1, :read) AS text
FROM messages m JOIN threads t ON t.id = m.thread_id {words}
WHERE m.state <> 'streaming' AND t.owner = :owner AND t.deleted_at IS NULL {which} ORDER BY m.seq DESC LIMIT :most"""
_TITLE = "to_tsvector('simple', t.title)"  # as the index has it
_TITLED = """
SELECT t.id AS thread_id, t.title, t.head AS message_id, t.title AS text FROM threads t
WHERE t.owner = :owner AND t.deleted_at IS NULL {which} ORDER BY t.created_at DESC, t.id LIMIT :most"""
_INDEX = """
INSERT INTO words (seq, lexemes) SELECT seq, array_to_tsvector(:lexemes::text[]) FROM messages WHERE id = :id
ON CONFLICT (seq) DO UPDATE SET lexemes = excluded.lexemes"""


# The lock keeps away who would bury the process, and not its heartbeat.
_LIVES = "SELECT 1 FROM replicas WHERE process = ? AND expires_at > clock_timestamp() FOR KEY SHARE"


class Limited(psycopg.Connection[Any]):
    """No statement runs longer than `patience` seconds, even if the server does not answer."""

    patience = 10.0
    ends = float("inf")  # of the block that `within` is around
    left: Callable[[], bool] | None = None

    def wait(self, gen: Generator[Any, Any, Any], interval: float = _LOOK, timeout: float | None = None) -> Any:
        return super().wait(self._watched(gen), _LOOK if self.left is not None else interval)

    def _watched(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """As the generator, which is resumed at every interval and then checks the clock."""
        until = time.monotonic() + self.patience
        cancelled = False
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready:
                    cancelled = cancelled or self._over()
                    if time.monotonic() > until:
                        self.pgconn.finish()
                        raise psycopg.OperationalError("the server did not answer in time")
                wanted = gen.send(ready)
        except StopIteration as done:
            return done.value

    def _over(self) -> bool:
        """Cancels the statement if it took too long or if no caller waits for it."""
        if self.left is None or not (time.monotonic() > self.ends or self.left()):
            return False
        self.cancel_safe(timeout=1.0)
        return True


class PostgresConnection:
    sql = _WORDS
    crowded = False

    def __init__(self, connection: Limited) -> None:
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        return self._connection.info.transaction_status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)

    @property
    def lost(self) -> bool:
        return self._connection.pgconn.status != ConnStatus.OK

    def execute(self, sql: str, parameters: Parameters = (), /) -> Rows:
        text, names = numbered(sql)
        return self._connection.execute(text.encode(), ordered(names, parameters))

    def close(self) -> None:
        self._connection.close()

    def lock(self, table: str, id: str) -> None:
        self.execute(f"SELECT 1 FROM {table} WHERE id = ? FOR UPDATE", (id,))

    def alone(self, what: str) -> bool:
        return bool(self.execute("SELECT pg_try_advisory_xact_lock(hashtext(?))", (f"llmproxy {what}",)).fetchone()[0])

    def lives(self, process: str) -> bool:
        return self.execute(_LIVES, (process,)).fetchone() is not None

    def index(self, message_id: str, text: str) -> None:
        self.execute(_INDEX, {"id": message_id, "lexemes": lexemes(text)})

    def forget_words(self) -> None:
        """Does nothing: the index entries are removed with their rows."""

    def compact(self) -> bool:
        return False  # autovacuum does

    def number_on(self) -> None:
        self.execute(
            "SELECT setval(pg_get_serial_sequence('messages', 'seq'), max(seq)) FROM messages HAVING count(*) > 0"
        )
        self.execute("SELECT setval('tape_ends', max(ends)) FROM tapes HAVING count(*) > 0")

    def messages_with(self, what: Sought) -> Rows:
        params = {"read": what.read, "owner": what.owner, "most": what.most}
        words, which = "", ""
        if found := query(what.words, beginning=what.beginning):
            words, which = "JOIN words w ON w.seq = m.seq", " AND w.lexemes @@ :query::tsquery"
            params["query"] = found
        for number, run in enumerate(what.runs):
            which += f" AND strpos(m.text, :run{number}) > 0"
            params[f"run{number}"] = run
        return self.execute(_MESSAGES_WITH.format(words=words, which=which), params)

    def titled(self, what: Sought) -> Rows:
        params: dict[str, Any] = {"owner": what.owner, "most": what.most}
        which = ""
        if found := as_written(what.words, beginning=what.beginning):
            which, params["query"] = f" AND {_TITLE} @@ to_tsquery('simple', :query)", found
        for number, run in enumerate(what.runs):
            which += f" AND strpos(t.title, :run{number}) > 0"
            params[f"run{number}"] = run
        return self.execute(_TITLED.format(which=which), params)

    @contextmanager
    def within(self, seconds: float, left: Callable[[], bool]) -> Iterator[None]:
        inner = self._connection
        inner.ends, inner.left = time.monotonic() + seconds, left
        try:
            yield
        except psycopg.errors.QueryCanceled as error:
            raise TimeoutError from error
        finally:
            inner.ends, inner.left = float("inf"), None
