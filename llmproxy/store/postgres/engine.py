"""PostgreSQL as the store's engine, for any number of replicas."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from llmproxy.core.errors import StoreError

from ..connection import Connection
from .schema import migrate

if TYPE_CHECKING:
    from .connection import PostgresConnection

INSTALL = "PostgreSQL needs the extra `postgres`: pip install 'llmproxy-gateway[postgres]'"
ALIVE_SECONDS = 10.0  # for how long a replica is considered alive after a heartbeat
_CONNECT_SECONDS = 2
_STATEMENT_SECONDS = 10
_GRACE = 2.0  # seconds after the server's own limit until its silence counts as a failure
_USUAL = {  # defaults, which the URL may override
    "connect_timeout": _CONNECT_SECONDS,
    "tcp_user_timeout": 5_000,
    "keepalives_idle": 5,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "application_name": "llmproxy",
}
_SETTINGS = (
    f"SET statement_timeout = '{_STATEMENT_SECONDS}s'",
    "SET lock_timeout = '5s'",
    # A replica that stands still or is cut off in a transaction keeps others waiting for this long. It is less than they wait
    # for a lock, and much less than the time after which they would be taken for dead.
    "SET idle_in_transaction_session_timeout = '3s'",
    "SET default_transaction_isolation = 'read committed'",
    "SET jit = off",  # compiling a short statement takes longer than running it
    "SET client_min_messages = warning",
)
_AGAIN = frozenset(
    ("40001", "40P01")
)  # two transactions stood in each other's way: the same jobs succeed at the next try
_UNTIL = "clock_timestamp() + ? * interval '1 second'"
_ENTER = f"INSERT INTO replicas (process, expires_at) VALUES (?, {_UNTIL})"
_BEAT = f"UPDATE replicas SET expires_at = {_UNTIL} WHERE process = ? AND expires_at > clock_timestamp()"
_BURY = "DELETE FROM replicas WHERE process = ? AND expires_at <= clock_timestamp()"
_MEET = "UPDATE replicas SET address = ? WHERE process = ? AND address <> ?"
_MET = """
SELECT DISTINCT address FROM replicas WHERE address <> '' AND expires_at > clock_timestamp() ORDER BY address"""


class Postgres:
    """url: as in libpq. The URL and passwords never appear in a message."""

    begins = ("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    lasting = True
    alive_seconds = ALIVE_SECONDS
    damage = None

    def __init__(self, url: str) -> None:
        self._url = url
        self._entered: set[str] = set()

    def check(self) -> None:
        self.connect().close()

    def connect(self, *, reading: bool = False) -> Connection:
        connection = self._connected()
        if not reading:
            try:
                migrate(connection)
            except BaseException as error:
                connection.close()
                if isinstance(error, Exception) and not isinstance(error, StoreError):
                    raise self.translated(error) from error
                raise
        return connection

    def look(self) -> Connection | None:
        connection = self._connected()
        [there] = connection.execute("SELECT to_regclass('accounts') IS NOT NULL").fetchone()
        if there:
            return connection
        connection.close()
        return None

    def translated(self, error: Exception) -> StoreError:
        if isinstance(error, StoreError):
            return error
        state = getattr(error, "sqlstate", None)
        name = type(error).__name__ if state else "unreachable"
        failure = StoreError(f"The database cannot be used ({name}).")
        failure.detail = str(error).strip().partition("\n")[0]
        return failure

    def is_failure(self, error: BaseException) -> bool:
        return isinstance(error, StoreError) or any(
            kind.__module__.startswith("psycopg") for kind in type(error).__mro__
        )

    def is_conflict(self, error: BaseException) -> bool:
        return getattr(error, "sqlstate", None) in _AGAIN

    def enter(self, db: Connection, process: str) -> None:
        if process not in self._entered:  # who was taken for dead does not come back by connecting again
            db.execute(_ENTER, (process, self.alive_seconds))
            self._entered.add(process)

    def beat(self, db: Connection, process: str) -> int:
        return len(self.living(db)) if db.execute(_BEAT, (self.alive_seconds, process)).rowcount else 0

    def meet(self, db: Connection, process: str, address: str) -> list[str]:
        db.execute(_MEET, (address, process, address))
        return [address for (address,) in db.execute(_MET)]

    def bury(self, db: Connection, process: str) -> bool:
        db.execute(_BURY, (process,))  # waits for a heartbeat that is not committed yet, and sees it
        return db.execute("SELECT 1 FROM replicas WHERE process = ?", (process,)).fetchone() is None

    def leave(self, process: str) -> None:
        if not self._entered:
            return
        with suppress(Exception), closing(self._connected()) as db:  # or it counts as dead when its time is over
            db.execute("DELETE FROM replicas WHERE process = ?", (process,))
        self._entered.clear()

    def entered(self, db: Connection) -> set[str]:
        return {process for (process,) in db.execute("SELECT process FROM replicas")}

    def living(self, db: Connection) -> set[str]:
        return {
            process for (process,) in db.execute("SELECT process FROM replicas WHERE expires_at > clock_timestamp()")
        }

    def _connected(self) -> PostgresConnection:
        try:
            import psycopg
        except ImportError as error:
            raise StoreError(INSTALL) from error
        from psycopg.conninfo import conninfo_to_dict

        from .connection import Limited, PostgresConnection
        from .types import adapt, rows

        try:
            settings: dict[str, Any] = {**_USUAL, **conninfo_to_dict(self._url)}
            inner = Limited.connect(autocommit=True, row_factory=rows, cursor_factory=psycopg.RawCursor, **settings)
            inner.prepare_threshold = None  # a prepared SELECT * fails when another replica has added a column
            inner.patience = _STATEMENT_SECONDS + _GRACE
            adapt(inner)
            for setting in _SETTINGS:
                inner.execute(setting.encode())
        except psycopg.Error as error:
            raise self.translated(error) from error
        return PostgresConnection(inner)
