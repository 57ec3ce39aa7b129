"""Full-text search over the messages and titles of one owner."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmproxy.core.chat import Json

if TYPE_CHECKING:
    from sqlite3 import Connection

OPEN, CLOSE, CUT = "\u2039", "\u203a", "\u2026"

_IN_MESSAGES = f"""
SELECT t.id AS thread_id, t.title, m.id AS message_id, snippet(words, 0, '{OPEN}', '{CLOSE}', '{CUT}', 16) AS snippet
FROM words JOIN messages m ON m.seq = words.rowid JOIN threads t ON t.id = m.thread_id
WHERE words MATCH ? AND t.owner = ? AND t.deleted_at IS NULL ORDER BY rank LIMIT ?"""
_IN_TITLES = """
SELECT id AS thread_id, title, head AS message_id, title AS snippet FROM threads
WHERE owner = ? AND deleted_at IS NULL AND title LIKE ? ESCAPE '\\' ORDER BY updated_at DESC LIMIT ?"""


def search(db: Connection, owner: str, words: str, limit: int = 50) -> list[Json]:
    """`{"thread_id", "title", "message_id", "snippet"}`: messages that say all the words, after them titles that do.

    The last word may be the beginning of one. No word at all finds nothing.
    """
    query = match(words)
    if not query:
        return []
    said = [dict(row) for row in db.execute(_IN_MESSAGES, (query, owner, limit))]
    there = {one["thread_id"] for one in said}
    titles = db.execute(_IN_TITLES, (owner, f"%{_literal(words.strip())}%", limit))
    marked = ({**dict(row), "snippet": _marked(row["title"], words.strip())} for row in titles)
    return [*said, *(one for one in marked if one["thread_id"] not in there)][:limit]


def match(words: str) -> str:
    """What FTS5 is asked: each word quoted, so that nothing in it is an operator."""
    found = re.findall(r"\w+", words)
    return " ".join(f'"{word}"' for word in found) + "*" if found else ""


def _literal(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _marked(title: str, words: str) -> str:
    return re.sub(f"({re.escape(words)})", rf"{OPEN}\1{CLOSE}", title, flags=re.IGNORECASE)
