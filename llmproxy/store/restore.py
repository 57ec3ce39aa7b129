"""Imports exported threads, in slices between which other owners' changes are written.

A thread that is being imported lies among the deleted ones, and all are shown when the last is complete. What an import that was
broken off has written is removed with the other deleted threads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import TYPE_CHECKING, Any

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

from . import messages, threads
from .export import FORMAT, VERSION
from .markdown import HEADINGS

if TYPE_CHECKING:
    from .connection import Connection

SLICE_SECONDS = 0.02  # after this time no further message of a slice is written
SHOWN = 1000  # threads that are shown in one slice
_LATEST = 1e12  # Unix seconds: far beyond any date, and small enough for the database
_NUMBER = (int, float, NoneType)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import has come.

    made: new IDs of the threads that are written, the last one perhaps in part. messages: how many of the last one's are
    written; ids: their new IDs by their old ones. shown: how many threads are complete and shown.
    """

    made: tuple[str, ...] = ()
    messages: int = 0
    ids: Mapping[str | None, str] = field(default_factory=dict)
    shown: int = 0


def checked(file: Any) -> list[Json]:
    """The threads of a file that was made by `export.as_json`. Raises BadRequest with the place of a mistake."""
    if not isinstance(file, dict) or file.get("format") != FORMAT or file.get("version") != VERSION:
        raise BadRequest(f"That is not an export of threads (format {FORMAT}, version {VERSION}).", param="format")
    given = _list(file, "threads", "")
    for at, thread in enumerate(given):
        _check_thread(thread, f"threads[{at}]")
    return given


def some(db: Connection, owner: str, given: Sequence[Json], so_far: Progress, now: float) -> Progress:
    """Writes the next part of checked threads, at least one message or thread, and returns how far it came."""
    until = time.monotonic() + SLICE_SECONDS
    while len(so_far.made) < len(given) or so_far.messages < len(given[-1]["messages"]):
        so_far = _next_thread(db, owner, given, so_far, now)
        so_far = _some_messages(db, given[len(so_far.made) - 1], so_far, now, until)
        if time.monotonic() >= until:
            return so_far
    return _show(db, owner, so_far)


def _next_thread(db: Connection, owner: str, given: Sequence[Json], so_far: Progress, now: float) -> Progress:
    """Begins the next thread, if the last one is complete."""
    at = len(so_far.made)
    if at and so_far.messages < len(given[at - 1]["messages"]):
        return so_far
    thread = given[at]
    model = thread.get("model") if isinstance(thread.get("model"), str) else None
    made = threads.create(
        db, owner, thread["created_at"], title=thread["title"], model=model, settings=thread["settings"]
    )
    db.execute(
        "UPDATE threads SET updated_at = ?, pinned = ?, deleted_at = ? WHERE id = ?",
        (thread["updated_at"], thread["pinned"], now, made["id"]),
    )
    return Progress((*so_far.made, str(made["id"])))


def _some_messages(db: Connection, thread: Json, so_far: Progress, now: float, until: float) -> Progress:
    """Writes messages of the last thread until that time, and its head with the last of them."""
    id, ids, given = so_far.made[-1], dict(so_far.ids), thread["messages"]
    written = so_far.messages
    for message in given[written:]:
        ids[message["id"]] = messages.restore(db, id, message, ids.get(message.get("parent_id")), now)
        written += 1
        if time.monotonic() >= until:
            break
    if written == len(given):
        db.execute("UPDATE threads SET head = ? WHERE id = ?", (ids.get(thread.get("head")), id))
    return Progress(so_far.made, written, ids)


def _show(db: Connection, owner: str, so_far: Progress) -> Progress:
    """Shows the next of the complete threads."""
    shown = so_far.made[so_far.shown : so_far.shown + SHOWN]
    db.execute(
        f"UPDATE threads SET deleted_at = NULL WHERE owner = ? AND id IN {db.sql.among} AND deleted_at > 0",
        (owner, json.dumps(shown)),
    )
    return Progress(so_far.made, so_far.messages, so_far.ids, so_far.shown + len(shown))


def _check_thread(thread: Any, at: str) -> None:
    _check(thread, at, title=str, settings=dict, created_at=(int, float), updated_at=(int, float), pinned=bool)
    _check({"head": None, **thread}, at, head=(str, NoneType))
    threads.check_settings(thread["settings"], f"{at}.settings")
    for place, message in enumerate(_list(thread, "messages", f"{at}.")):
        where = f"{at}.messages[{place}]"
        _check(message, where, id=str, content=(str, list), role=str, state=str)
        _check({"parent_id": None, "created_at": 0, **message}, where, parent_id=(str, NoneType), created_at=_NUMBER)
        if not all(isinstance(part, dict) for part in message["content"] if not isinstance(message["content"], str)):
            raise BadRequest(f"{where}.content must be text or a list of parts.", param=where)
        if message["role"] not in HEADINGS or message["state"] not in messages.STATES:
            raise BadRequest(f"{where} has an unknown role or state.", param=where)


def _check(value: Any, at: str, **kinds: type | tuple[type, ...]) -> None:
    """Raises BadRequest unless `value` is an object with members of these types."""
    if not isinstance(value, dict):
        raise BadRequest(f"{at} must be an object.", param=at)
    for name, kind in kinds.items():
        given = value.get(name)
        if not isinstance(given, kind) or (isinstance(given, (int, float)) and not abs(given) < _LATEST):
            raise BadRequest(f"{at}.{name} is missing or of the wrong type.", param=f"{at}.{name}")


def _list(holder: Json, name: str, at: str) -> list[Any]:
    found = holder.get(name)
    if not isinstance(found, list):
        raise BadRequest(f"{at}{name} must be a list.", param=f"{at}{name}")
    return found
