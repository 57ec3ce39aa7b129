"""Threads: conversations of one owner. Every function is a job for the store, on its connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest, NotFound

from .json_columns import read_json

if TYPE_CHECKING:
    from .connection import Connection, Row

UNDO_SECONDS = 30 * 24 * 3600.0
_PURGED = 0.0  # `deleted_at` of a permanently deleted thread: its messages are removed in slices
MAX_SETTINGS = 1024 * 1024  # bytes as JSON; they are in each list of threads
MARKED = 1000  # threads that are hidden in one slice
REMOVED = 200  # messages that are removed in one slice
_CHARACTERS = 1_000_000  # of their text, and a message

_THREAD = """
SELECT t.*, (SELECT count(*) FROM messages m WHERE m.thread_id = t.id) AS messages,
  (SELECT {running} FROM messages m WHERE m.thread_id = t.id AND m.state = 'streaming') AS running
FROM threads t WHERE t.owner = ? AND (t.deleted_at IS NULL OR t.deleted_at > 0)"""
_CHANGED = frozenset(("title", "pinned", "model", "settings", "head"))


def check_settings(settings: Json, at: str) -> None:
    """Raises BadRequest if they are too large."""
    if len(json.dumps(settings)) > MAX_SETTINGS:
        raise BadRequest(f"{at} may have {MAX_SETTINGS} bytes as JSON.", param=at, code="string_above_max_length")


def create(
    db: Connection, owner: str, now: float, *, title: str = "", model: str | None = None, settings: Json | None = None
) -> Json:
    """A new, empty thread."""
    id = token_urlsafe(12)
    db.execute(
        "INSERT INTO threads (id, owner, title, titled, created_at, updated_at, model, settings)"
        " VALUES (?,?,?,?,?,?,?,?)",
        (id, owner, title, int(bool(title)), now, now, model, json.dumps(settings or {})),
    )
    return thread(db, owner, id)


def thread(db: Connection, owner: str, id: str) -> Json:
    """Raises NotFound; a thread that was deleted but not yet purged is returned with its `deleted` state."""
    row = db.execute(f"{_threads(db)} AND t.id = ?", (owner, id)).fetchone()
    if row is None:
        raise NotFound("There is no such thread.")
    return _thread(row)


def present(db: Connection, owner: str, id: str) -> Json:
    """As `thread`. Raises NotFound for a deleted one, too."""
    found = thread(db, owner, id)
    if found["deleted"]:
        raise NotFound("That thread was deleted.")
    return found


def listed(db: Connection, owner: str, limit: int, before: str | None) -> Json:
    """A page of threads, pinned first, then the latest: `{"threads", "next"}`."""
    where, place = ("AND (t.pinned, t.updated_at, t.id) < (?,?,?)", _place(before)) if before else ("", ())
    rows = db.execute(
        f"{_threads(db)} AND t.deleted_at IS NULL {where} ORDER BY t.pinned DESC, t.updated_at DESC, t.id DESC LIMIT ?",
        (owner, *place, limit + 1),
    ).fetchall()
    page = [_thread(row) for row in rows[:limit]]
    return {"threads": page, "next": _cursor(page[-1]) if len(rows) > limit else None}


def trash(db: Connection, owner: str, limit: int) -> Json:
    """The deleted threads that can be restored, the last one first: `{"threads", "next"}`."""
    rows = db.execute(
        f"{_threads(db)} AND t.deleted_at IS NOT NULL ORDER BY t.deleted_at DESC, t.id DESC LIMIT ?", (owner, limit)
    ).fetchall()
    return {"threads": [_thread(row) for row in rows], "next": None}


def change(db: Connection, owner: str, id: str, changes: Mapping[str, Any], now: float) -> Json:
    """Sets `title`, `pinned`, `model`, `settings`, `head` or `deleted`; absent members stay."""
    thread(db, owner, id)
    if head := changes.get("head"):
        _belongs(db, id, head)
    for name in changes.keys() & _CHANGED:
        value = json.dumps(changes[name]) if name == "settings" else changes[name]
        if name == "pinned":
            value = int(value)
        db.execute(f"UPDATE threads SET {name} = ? WHERE id = ?", (value, id))
    if "title" in changes:
        db.execute("UPDATE threads SET titled = 1 WHERE id = ?", (id,))
    if "deleted" in changes:
        db.execute("UPDATE threads SET deleted_at = ? WHERE id = ?", (now if changes["deleted"] else None, id))
    return thread(db, owner, id)


def titled(db: Connection, id: str) -> bool:
    """Whether the thread has a real title; its first words do not count."""
    return bool(db.execute("SELECT titled FROM threads WHERE id = ?", (id,)).fetchone()[0])


def entitle(db: Connection, id: str, title: str) -> bool:
    """Sets a title made by a model, unless the user has set one meanwhile. Returns whether it was set."""
    return db.execute("UPDATE threads SET title = ?, titled = 1 WHERE id = ? AND titled = 0", (title, id)).rowcount > 0


def delete(db: Connection, owner: str, id: str, now: float, purge: bool) -> None:
    """Deletes a thread; permanently if `purge` is set: then its messages are removed by this and the following slices."""
    thread(db, owner, id)
    db.execute("UPDATE threads SET deleted_at = ? WHERE id = ?", (_PURGED if purge else now, id))
    if purge:
        remove(db, now)


_MARK = """
UPDATE threads SET deleted_at = ? WHERE id IN (
  SELECT id FROM threads WHERE owner = ? AND deleted_at IS NULL AND created_at <= ? ORDER BY created_at LIMIT ?)"""


def mark_all(db: Connection, owner: str, until: float, most: int = MARKED) -> bool:
    """Permanently hides an owner's threads at the time `until`, at most so many. Returns whether there are more."""
    if db.execute(_MARK, (_PURGED, owner, until, most)).rowcount == most:
        return True
    db.execute("UPDATE threads SET deleted_at = ? WHERE owner = ? AND deleted_at > ?", (_PURGED, owner, _PURGED))
    return False


_DOOMED = "SELECT id FROM threads WHERE deleted_at IS NOT NULL AND deleted_at <= ? ORDER BY deleted_at LIMIT ?"


def remove(db: Connection, now: float, most: int = REMOVED) -> bool:
    """Removes hidden data, and threads that were deleted too long ago to be restored, at most so much.

    Returns whether there is more.
    """
    threads = [id for (id,) in db.execute(_DOOMED, (max(now - UNDO_SECONDS, _PURGED), most)).fetchall()]
    if not threads:
        return False
    ids = json.dumps(threads)
    rows = db.execute(
        f"SELECT id, length(text) AS size FROM messages WHERE thread_id IN {db.sql.among} ORDER BY thread_id, seq LIMIT ?",
        (ids, most + 1),
    ).fetchall()
    some = _up_to(rows[:most])
    db.execute(f"DELETE FROM messages WHERE id IN {db.sql.among}", (json.dumps(some),))
    db.execute(
        f"DELETE FROM threads WHERE id IN {db.sql.among} "
        "AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.thread_id = threads.id)",
        (ids,),
    )
    db.forget_words()
    return len(some) < len(rows) or len(threads) == most


def _up_to(rows: list[Row]) -> list[str]:
    """The first of these messages, up to the amount of text for one slice."""
    some: list[str] = []
    characters = 0
    for row in rows:
        if some and characters > _CHARACTERS:
            break
        some.append(row["id"])
        characters += row["size"]
    return some


def _threads(db: Connection) -> str:
    return _THREAD.format(running=db.sql.list_of.format("m.request_id"))


def _belongs(db: Connection, thread_id: str, message_id: str) -> None:
    if db.execute("SELECT 1 FROM messages WHERE id = ? AND thread_id = ?", (message_id, thread_id)).fetchone() is None:
        raise BadRequest("head is not a message of this thread.", param="head")


def _thread(row: Row) -> Json:
    return {
        "id": row["id"],
        "title": row["title"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "pinned": bool(row["pinned"]),
        "deleted": row["deleted_at"] is not None,
        "model": row["model"],
        "settings": read_json(row["settings"]),
        "head": row["head"],
        "messages": row["messages"],
        "running": json.loads(row["running"]),
    }


def _cursor(last: Json) -> str:
    return f"{last['pinned']:d},{last['updated_at']!r},{last['id']}"


def _place(cursor: str) -> tuple[int, float, str]:
    try:
        pinned, updated_at, id = cursor.split(",", 2)
        return int(pinned), float(updated_at), id
    except ValueError as error:
        raise BadRequest("before is not a cursor that a list of threads gave.", param="before") from error
