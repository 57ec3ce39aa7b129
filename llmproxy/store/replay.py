"""Stored events of threads' answers for resume, limited in bytes and age."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmproxy.core.chat import Json
from llmproxy.core.replay import Gone, Piece

from . import messages
from .messages import Ended

if TYPE_CHECKING:
    from .connection import Connection

_ADD = """
INSERT INTO tapes (ends, message_id, first, last, kept_at, events)
SELECT {ends}, id, :first, :last, :now, :events
FROM messages WHERE id = :message"""
_FIND = """
SELECT m.*, (SELECT last FROM tapes WHERE message_id = m.id ORDER BY first DESC LIMIT 1) AS newest
FROM messages m JOIN threads t ON t.id = m.thread_id
WHERE m.request_id = ? AND t.owner = ? AND t.deleted_at IS NULL ORDER BY m.seq DESC LIMIT 1"""
_AFTER = """
SELECT first, last, events FROM tapes WHERE message_id = :message AND last > :after AND first >=
  coalesce((SELECT max(first) FROM tapes WHERE message_id = :message AND first <= :after + 1), 0) ORDER BY first"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored answer, the process in which it is still growing, and the ID of its last stored event; 0: none."""

    message: Json
    process: str | None
    newest: int


def keep(db: Connection, answer_id: str, pieces: Iterable[Piece], room: int, now: float) -> None:
    """Adds these events of an answer, if it exists. Above `room` bytes, the oldest events of all answers are removed.

    Events before a gap cannot be used, and are removed.
    """
    for piece in pieces:
        if _newest(db, answer_id) not in (None, piece.first - 1):
            db.execute("DELETE FROM tapes WHERE message_id = ?", (answer_id,))
        db.execute(
            _ADD.format(ends=db.sql.tape_end.format(":events")), {**piece._asdict(), "message": answer_id, "now": now}
        )
    db.execute("DELETE FROM tapes WHERE ends <= (SELECT max(ends) FROM tapes) - ?", (room // db.sql.tape_unit,))


def checkpoint(
    db: Connection, answer_id: str, text: str, reasoning: str, pieces: Iterable[Piece], room: int, now: float
) -> None:
    """Stores the answer so far, as text and as events: after kill -9 both are at the same position."""
    messages.checkpoint(db, answer_id, text, reasoning)
    keep(db, answer_id, pieces, room, now)


def end(db: Connection, answer_id: str, ended: Ended, pieces: Iterable[Piece], room: int, now: float) -> None:
    """Stores the end of the answer, and its last events."""
    if messages.end(db, answer_id, ended, now):
        keep(db, answer_id, pieces, room, now)


def find(db: Connection, owner: str, request_id: str) -> Kept | None:
    """The answer of a request; None if it does not exist, belongs to another owner, or was deleted."""
    row = db.execute(_FIND, (request_id, owner)).fetchone()
    return Kept(messages.message(row), row["process"], row["newest"] or 0) if row is not None else None


def take(db: Connection, answer_id: str, after: int, size: int) -> tuple[int, bytes]:
    """As ReplayBuffer.take, from the stored events. Raises Gone if they begin later."""
    taken: list[bytes] = []
    length = 0
    for first, last, events in db.execute(_AFTER, {"message": answer_id, "after": after}):
        if first > after + 1:
            raise Gone(first)
        taken.append(_rest(events, after + 1 - first))
        after, length = last, length + len(taken[-1])
        if length >= size:
            break
    return after, b"".join(taken)


FORGOTTEN = 100  # pieces that one slice removes


def forget(db: Connection, before: float, most: int = FORGOTTEN) -> bool:
    """Removes old events, at most so many pieces. Returns whether there are more."""
    oldest = "SELECT ends FROM tapes ORDER BY ends LIMIT ?"
    return db.execute(f"DELETE FROM tapes WHERE ends IN ({oldest}) AND kept_at < ?", (most, before)).rowcount == most


def _newest(db: Connection, answer_id: str) -> int | None:
    row = db.execute("SELECT last FROM tapes WHERE message_id = ? ORDER BY first DESC LIMIT 1", (answer_id,)).fetchone()
    return row["last"] if row is not None else None


def _rest(events: bytes, skipped: int) -> bytes:
    """Without the first ones: each ends with an empty line, and contains none."""
    return events.split(b"\n\n", skipped)[-1]
