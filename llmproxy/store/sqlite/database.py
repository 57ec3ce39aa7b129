"""The SQLite file: how it is opened, its schema, and its migrations.

sqlite3 is imported at its first use, so that a gateway without threads starts without it.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llmproxy.core.errors import Damaged, StoreError

if TYPE_CHECKING:
    from .connection import SqliteConnection as Connection

FILE = "llmproxy.db"
BUSY_SECONDS = 5.0
_LOG = (
    16 * 1024 * 1024
)  # bytes that the file of changes keeps at most once all of them are in the database: see `crowded`
_LOOK_SECONDS = 1.0  # seconds that a read-only look waits for a process that has locked the file
_CREATING = threading.Lock()
_AGAIN = 0.01  # seconds until the next attempt at a file that another process has locked

_FIRST = """
CREATE TABLE threads (
  id TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, titled INTEGER NOT NULL DEFAULT 0,
  created_at REAL NOT NULL, updated_at REAL NOT NULL, pinned INTEGER NOT NULL DEFAULT 0, deleted_at REAL,
  model TEXT, settings TEXT NOT NULL DEFAULT '{}', head TEXT);
CREATE INDEX threads_listed ON threads (owner, pinned DESC, updated_at DESC, id DESC);

CREATE TABLE messages (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
  thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE, parent_id TEXT,
  role TEXT NOT NULL, text TEXT NOT NULL, parts TEXT, state TEXT NOT NULL,
  request_id TEXT, process TEXT, created_at REAL NOT NULL, facts TEXT NOT NULL DEFAULT '{}');
CREATE INDEX messages_of_thread ON messages (thread_id, seq);
CREATE INDEX messages_running ON messages (thread_id, process) WHERE state = 'streaming';

-- A growing answer is indexed once, when it has ended.
CREATE VIRTUAL TABLE words USING fts5 (
  text, content = 'messages', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 2');
CREATE TRIGGER words_insert AFTER INSERT ON messages WHEN new.state <> 'streaming' BEGIN
  INSERT INTO words (rowid, text) VALUES (new.seq, new.text); END;
CREATE TRIGGER words_delete AFTER DELETE ON messages WHEN old.state <> 'streaming' BEGIN
  INSERT INTO words (words, rowid, text) VALUES ('delete', old.seq, old.text); END;
CREATE TRIGGER words_before AFTER UPDATE OF text, state ON messages WHEN old.state <> 'streaming' BEGIN
  INSERT INTO words (words, rowid, text) VALUES ('delete', old.seq, old.text); END;
CREATE TRIGGER words_now AFTER UPDATE OF text, state ON messages WHEN new.state <> 'streaming' BEGIN
  INSERT INTO words (rowid, text) VALUES (new.seq, new.text); END;

CREATE TABLE ledger (
  opened_at REAL NOT NULL, id TEXT NOT NULL, process TEXT NOT NULL, owner TEXT NOT NULL, face TEXT NOT NULL,
  state TEXT NOT NULL, stopped_by TEXT, closed_at REAL, model TEXT, provider TEXT, provider_model TEXT,
  attempts INTEGER NOT NULL, status INTEGER, code TEXT, tokens_in INTEGER, tokens_out INTEGER,
  tokens_reasoning INTEGER, tokens_cached INTEGER, usage_source TEXT NOT NULL, cost REAL,
  ttft_ms REAL, duration_ms REAL, closed_ms REAL, tokens_per_second REAL,
  PRIMARY KEY (opened_at, id)) WITHOUT ROWID;
CREATE INDEX ledger_open ON ledger (process) WHERE state = 'open';
"""

_TAPES = """
-- All answers' events are one log of bytes, and a row's key is where it ends in it: what is beyond a limit is found
-- without counting.
CREATE TABLE tapes (
  ends INTEGER PRIMARY KEY, message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
  first INTEGER NOT NULL, last INTEGER NOT NULL, kept_at REAL NOT NULL, events BLOB NOT NULL);
CREATE INDEX tapes_of_message ON tapes (message_id, first);
CREATE INDEX messages_asked ON messages (request_id) WHERE request_id IS NOT NULL;
"""

_ADOPTIONS = """
-- A row says that owners who were named by their key's position have been given their names of now.
CREATE TABLE adoptions (done INTEGER NOT NULL);
"""

_ACCOUNTS = """
-- Money is a whole number of 1e-12 dollars.
ALTER TABLE ledger ADD COLUMN cost_e12 INTEGER;
ALTER TABLE ledger ADD COLUMN grp TEXT NOT NULL DEFAULT '';
UPDATE ledger SET cost_e12 = CAST(round(cost * 1e12) AS INTEGER);
ALTER TABLE ledger DROP COLUMN cost;

CREATE TABLE attempts (
  opened_at REAL NOT NULL, id TEXT NOT NULL, number INTEGER NOT NULL, owner TEXT NOT NULL, grp TEXT NOT NULL,
  provider TEXT NOT NULL, model TEXT NOT NULL, state TEXT NOT NULL, code TEXT, sent INTEGER NOT NULL, provider_id TEXT,
  input INTEGER, cache_read INTEGER, cache_write_5m INTEGER, cache_write_1h INTEGER, output INTEGER, reasoning INTEGER,
  audio_in INTEGER, audio_out INTEGER, image_in INTEGER, image_out INTEGER, calls INTEGER,
  usage_source TEXT NOT NULL, cost_e12 INTEGER, price_id TEXT, ttft_ms REAL, duration_ms REAL,
  PRIMARY KEY (opened_at, id, number)) WITHOUT ROWID;
-- What was asked before attempts had rows is one attempt of unknown fate.
INSERT INTO attempts (opened_at, id, number, owner, grp, provider, model, state, code, sent, input, cache_read, output,
    reasoning, usage_source, cost_e12, ttft_ms, duration_ms)
  SELECT opened_at, id, max(attempts, 1), owner, '', coalesce(provider, ''), coalesce(provider_model, model, ''), 'unknown', code,
    attempts > 0, tokens_in - coalesce(tokens_cached, 0), tokens_cached, tokens_out, tokens_reasoning, usage_source, cost_e12,
    ttft_ms, duration_ms
  FROM ledger;

-- Keys and groups made while the gateway runs. limits: JSON.
CREATE TABLE accounts (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL UNIQUE, grp TEXT NOT NULL DEFAULT '',
  admin INTEGER NOT NULL DEFAULT 0, models TEXT NOT NULL DEFAULT '["*"]', limits TEXT NOT NULL DEFAULT '{}',
  created_at REAL NOT NULL, expires_at REAL, revoked_at REAL);
-- Two while a key is rotated.
CREATE TABLE secrets (
  hash BLOB PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE, created_at REAL NOT NULL,
  expires_at REAL);
CREATE INDEX secrets_of_account ON secrets (account_id);
-- Counts up with each change of accounts and secrets: who has read them sees by it that they changed.
CREATE TABLE account_changes (number INTEGER NOT NULL);
INSERT INTO account_changes VALUES (0);

-- What an account (key:NAME or group:NAME) has spent in a window that began then, and what processes have leased of it.
CREATE TABLE spend (
  account TEXT NOT NULL, win TEXT NOT NULL, win_start REAL NOT NULL, spent_e12 INTEGER NOT NULL DEFAULT 0,
  leased_e12 INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (account, win, win_start)) WITHOUT ROWID;
CREATE TABLE leases (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, win TEXT NOT NULL, win_start REAL NOT NULL, process TEXT NOT NULL,
  granted_e12 INTEGER NOT NULL, used_e12 INTEGER NOT NULL DEFAULT 0);
CREATE INDEX leases_of_process ON leases (process);
"""

_GROWTH = """
-- Requests of the ledger summed by steps of time (seconds) and by target, the JSON list of provider and model. counts: JSON.
CREATE TABLE rollups (
  step INTEGER NOT NULL, start REAL NOT NULL, target TEXT NOT NULL, requests INTEGER NOT NULL, errors INTEGER NOT NULL,
  cancelled INTEGER NOT NULL, truncated INTEGER NOT NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL,
  cost_e12 INTEGER, counts TEXT NOT NULL, PRIMARY KEY (step, start, target)) WITHOUT ROWID;
-- How far work has come that is done in slices.
CREATE TABLE progress (id TEXT PRIMARY KEY, place REAL NOT NULL, id_there TEXT NOT NULL DEFAULT '');
INSERT INTO progress (id, place) VALUES ('rollups', 0);
-- What is found by it is rare: threads that were deleted, and requests that were asked without a key.
CREATE INDEX threads_deleted ON threads (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX threads_there ON threads (owner, created_at) WHERE deleted_at IS NULL;
CREATE INDEX ledger_of_nobody ON ledger (opened_at) WHERE owner = '';

-- Titles are found by their words. A number of their own, as the hidden one of a table without INTEGER PRIMARY KEY may change.
ALTER TABLE threads ADD COLUMN seq INTEGER;
UPDATE threads SET seq = rowid;
CREATE UNIQUE INDEX threads_seq ON threads (seq);
CREATE VIRTUAL TABLE titles USING fts5 (
  title, content = 'threads', content_rowid = 'seq', prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2');
INSERT INTO titles (titles) VALUES ('rebuild');
CREATE TRIGGER titles_insert AFTER INSERT ON threads BEGIN
  UPDATE threads SET seq = (SELECT coalesce(max(seq), 0) + 1 FROM threads) WHERE id = new.id;
  INSERT INTO titles (rowid, title) SELECT seq, title FROM threads WHERE id = new.id; END;
CREATE TRIGGER titles_delete AFTER DELETE ON threads BEGIN
  INSERT INTO titles (titles, rowid, title) VALUES ('delete', old.seq, old.title); END;
CREATE TRIGGER titles_update AFTER UPDATE OF title ON threads WHEN old.title <> new.title BEGIN
  INSERT INTO titles (titles, rowid, title) VALUES ('delete', old.seq, old.title);
  INSERT INTO titles (rowid, title) VALUES (new.seq, new.title); END;
"""

_UNENDED = """
-- A second id of the request, which names its process; empty where the first one does.
ALTER TABLE ledger ADD COLUMN uid TEXT NOT NULL DEFAULT '';
-- Few have not ended, or never did.
CREATE INDEX ledger_unended ON ledger (id) WHERE state IN ('open', 'lost');
CREATE INDEX ledger_unended_uid ON ledger (uid) WHERE uid <> '' AND state IN ('open', 'lost');
"""

_TOKENS = """
-- Answers by the bytes that their tokens had. kind: in or out. model: provider/model.
CREATE TABLE token_ratios (
  kind TEXT NOT NULL, model TEXT NOT NULL, bucket INTEGER NOT NULL, answers INTEGER NOT NULL, seen_at REAL NOT NULL,
  PRIMARY KEY (kind, model, bucket)) WITHOUT ROWID;
CREATE INDEX token_ratios_seen ON token_ratios (seen_at);
-- The last change of a lease by its process, and its amount: whether one came about that was never acknowledged.
ALTER TABLE leases ADD COLUMN change TEXT NOT NULL DEFAULT '';
ALTER TABLE leases ADD COLUMN change_e12 INTEGER NOT NULL DEFAULT 0;
"""

MIGRATIONS = (
    _FIRST,
    _TAPES,
    _ADOPTIONS,
    _ACCOUNTS,
    _GROWTH,
    _UNENDED,
    _TOKENS,
)  # the n-th brings version n to n + 1; what was released is never edited


def connect(folder: Path | None, *, reading: bool = False, check: bool = True) -> Connection:
    """A connection to the database in `folder`, created and updated if necessary; in memory for None.

    check: the whole file is checked before it is used.
    Raises StoreError (no such folder, not writable, written by a newer version) or Damaged.
    """
    import sqlite3

    from .connection import SqliteConnection

    try:
        connection = sqlite3.connect(
            _place(folder),
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
            factory=SqliteConnection,
        )
        connection.row_factory = sqlite3.Row
        connection.log = f"{folder / FILE}-wal" if folder is not None else None
        return _ready(connection, reading, check)
    except OSError as error:
        raise StoreError(f"The data directory cannot be used: {error.strerror}.") from error
    except sqlite3.Error as error:
        raise translated(error) from error


def looking(folder: Path) -> Connection | None:
    """A read-only connection, which does not change the file; None if there is no file."""
    import sqlite3

    from .connection import SqliteConnection

    file = folder / FILE
    if not file.exists():
        return None
    uri = f"{file.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=_LOOK_SECONDS, isolation_level=None, factory=SqliteConnection)


def translated(error: Exception) -> StoreError:
    """The StoreError for a failure of SQLite."""
    name = str(getattr(error, "sqlite_errorname", "") or type(error).__name__)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return Damaged(
            f"The database {FILE} is damaged ({error}). Nothing was changed. Put a copy that `llmproxy backup` made in its "
            "place, save what can be read with `sqlite3 FILE .recover`, or move it away to begin anew."
        )
    return StoreError(f"The database cannot be used ({name}: {error}).")


def _place(folder: Path | None) -> str:
    if folder is None:
        return ":memory:"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / FILE
    _create(path)
    return str(path)


def _create(path: Path) -> None:
    """Creates an empty database file that only this user can read, if there is none; SQLite gives its -wal and -shm files the
    same mode.

    An existing file is never opened by descriptor, and a new one only while no thread of this process can have it open: when
    any descriptor of a file is closed, POSIX releases all locks that the process holds on it, also those of SQLite's
    connections. The next process that closes the database would then delete the write-ahead log that is still in use.
    """
    with _CREATING, suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _write_ahead(connection: Connection) -> None:
    """A change of the journal mode needs exclusive access to the file, and SQLite does not wait for that."""
    import sqlite3

    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > until:
                raise
        time.sleep(_AGAIN)


def _ready(connection: Connection, reading: bool, check: bool) -> Connection:
    if not reading:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only for a new file; an existing one keeps its mode
    _write_ahead(connection)
    for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = FAST", f"journal_size_limit = {_LOG}"):
        connection.execute(f"PRAGMA {pragma}")
    if reading:
        connection.execute("PRAGMA query_only = ON")
        return connection
    if check:
        sound(connection)
    _migrated(connection)
    return connection


def sound(connection: Connection) -> None:
    """Checks the whole file; about 0.1 s for 100 MB. Raises Damaged."""
    [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise Damaged(f"The database {FILE} is damaged ({verdict}). Put a backup in its place, or move it away.")


def _migrated(connection: Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")  # of two processes starting at once, one waits here for the other
    try:
        [version] = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise StoreError(f"The database {FILE} was written by a newer version of llmproxy (schema {version}).")
        for script in MIGRATIONS[version:]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _statements(script: str) -> list[str]:
    """The statements of a script, one by one: `executescript` would commit the transaction around it."""
    from sqlite3 import complete_statement

    statements, text = [], ""
    for line in script.splitlines(keepends=True):
        text += line
        if text.strip() and complete_statement(text):
            statements.append(text)
            text = ""
    return statements
