"""Databases and configurations of a size, made by a few statements that SQLite and PostgreSQL both understand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmproxy.config import Alias, Config, Key, Provider, Rule, Server, When
from llmproxy.store import rollups

if TYPE_CHECKING:
    from llmproxy.store.connection import Connection

OWNER = "me"
_NUMBERS = "WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) "
_AT_ONCE = 20_000  # rows of one statement, which may take ten seconds
_LEDGER = """
INSERT INTO ledger (opened_at, id, process, owner, face, state, attempts, provider, model, usage_source, tokens_in, tokens_out,
  ttft_ms, duration_ms)
SELECT {now} - 600000.0 * i / {count}, 'r' || i, 'p', 'me', 'chat', 'completed', 1, 'near', 'm' || (i % 10), 'provider', 10, 20,
  50 + i % 97, 500 + i % 991 FROM n"""
_THREADS = """
INSERT INTO threads (id, owner, title, created_at, updated_at, head)
SELECT 't' || i, 'me', 'common plan ' || CASE WHEN i % 1000 = 0 THEN 'rare' ELSE '' END, i, i, 'm' || (i * {each}) FROM n"""
_MESSAGES = """
INSERT INTO messages (id, thread_id, parent_id, role, text, state, created_at)
SELECT 'm' || i, 't' || (1 + (i - 1) / {each}), CASE WHEN (i - 1) % {each} > 0 THEN 'm' || (i - 1) END, 'user',
  'a common question about word' || (i % 5000) || ' and word' || (i % 777) ||
  CASE WHEN i % 1000 = 0 THEN ' rare' ELSE '' END || '{more}', 'complete', i FROM n"""


def requests(db: Connection, count: int) -> None:
    """So many within a week, and their sums, which are made as those of a database of before are."""
    db.execute("DELETE FROM progress")
    _rows(db, _LEDGER, count, count=count, now=time.time())
    while rollups.advance(db, time.time(), 20_000):
        pass


def threads(db: Connection, count: int, each: int = 1, more: str = "") -> None:
    """So many, each with so many messages; all say `common`, a thousandth `rare`. more: what every message says too."""
    _rows(db, _THREADS, count, each=each)
    _rows(db, _MESSAGES, count * each, each=each, more=more)
    if not hasattr(
        db, "set_progress_handler"
    ):  # PostgreSQL: triggers do not fill the index there, and its planner guesses
        _rows(db, _WORDS, count * each)
        for table in ("threads", "messages", "words"):
            db.execute(f"ANALYZE {table}")


_WORDS = """
INSERT INTO words (seq, lexemes) SELECT m.seq, to_tsvector('simple', m.text) FROM messages m JOIN n ON m.id = 'm' || n.i"""


def _rows(db: Connection, sql: str, rows: int, **how: object) -> None:
    for first in range(1, rows + 1, _AT_ONCE):
        db.execute((_NUMBERS + sql).format(first=first, last=min(rows, first + _AT_ONCE - 1), **how))


def models(count: int) -> Config:
    """So many at ten providers, and a fifth as many aliases."""
    providers = tuple(
        Provider(
            f"p{one}", "compatible", f"http://p{one}/v1", models=tuple(f"model-{one}-{n}" for n in range(count // 10))
        )
        for one in range(10)
    )
    aliases = {f"alias-{one}": Alias(f"alias-{one}", chain=("p1/model-1-1", "model-2-2")) for one in range(count // 5)}
    return Config(providers=providers, aliases=aliases)


def rules(count: int) -> Config:
    """An alias `by-rule` of so many."""
    made = tuple(Rule(("p1/a",), When(keywords=(f"word{one}", f"a phrase of {one}"))) for one in range(count))
    return Config(providers=models(50).providers, aliases={"by-rule": Alias("by-rule", rules=made, default=("p1/b",))})


def keys(count: int) -> Config:
    limited = tuple(Key(f"k{one}", f"secret-{one}", rpm=10**6) for one in range(count))
    return Config(server=Server(keys=limited), providers=models(50).providers)


def keys_file(count: int) -> str:
    """The text of a file with so many keys."""
    table = "".join(f'[[server.keys]]\nname = "k{one}"\nsecret = "secret-{one}"\n' for one in range(count))
    return table + "[storage]\nenabled = false\n[providers.demo]\n"


Fill = Callable[["Connection", int], None]
