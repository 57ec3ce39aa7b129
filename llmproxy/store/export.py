"""Exports threads as JSON, which can be imported, and as Markdown."""

from __future__ import annotations

import re
from types import NoneType
from typing import TYPE_CHECKING, Any

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

from . import messages, threads

if TYPE_CHECKING:
    from .connection import Connection

FORMAT = "llmproxy-threads"
VERSION = 1
_LATEST = 1e12  # Unix seconds: far beyond any date, and small enough for the database
_NUMBER = (int, float, NoneType)
HEADINGS = {"user": "You", "assistant": "Assistant"}


def as_json(db: Connection, owner: str, thread_id: str | None, now: float) -> Json:
    """One thread, or all that are not deleted, each with its `messages`."""
    found = [messages.of_thread(db, owner, id) for id in _ids(db, owner, thread_id)]
    exported = [{**one["thread"], "messages": one["messages"]} for one in found]
    return {"format": FORMAT, "version": VERSION, "exported_at": now, "threads": exported}


def as_markdown(db: Connection, owner: str, thread_id: str | None) -> str:
    """What is shown of each thread: the branch that ends at its head."""
    pages = []
    for id in _ids(db, owner, thread_id):
        thread = threads.thread(db, owner, id)
        said = [_section(message) for message in messages.path(db, id, thread["head"])]
        pages.append("\n\n".join([f"# {thread['title'] or 'Untitled'}", *said]))
    return "\n\n---\n\n".join(pages) + "\n"


def take(db: Connection, owner: str, file: Any, now: float) -> list[str]:
    """Takes in what `as_json` gave, under new ids, and gives those of the threads. All, or on BadRequest nothing."""
    if not isinstance(file, dict) or file.get("format") != FORMAT or file.get("version") != VERSION:
        raise BadRequest(f"That is not an export of threads (format {FORMAT}, version {VERSION}).", param="format")
    return [_taken(db, owner, thread, f"threads[{at}]", now) for at, thread in enumerate(_list(file, "threads", ""))]


def file_name(title: str, ending: str) -> str:
    """A name that every file system takes."""
    plain = re.sub(r"[^\w-]+", "-", title, flags=re.ASCII).strip("-").lower()[:60]
    return f"{plain or 'thread'}.{ending}"


def _ids(db: Connection, owner: str, thread_id: str | None) -> list[str]:
    if thread_id is not None:
        return [thread_id]
    rows = db.execute("SELECT id FROM threads WHERE owner = ? AND deleted_at IS NULL ORDER BY created_at, id", (owner,))
    return [id for (id,) in rows]


def _section(message: Json) -> str:
    heading = message["model"] or HEADINGS[message["role"]]
    text = messages.text_of(message["content"]) or "(no text)"
    note = "" if message["state"] == "complete" else f"\n\n*({message['state']})*"
    sources = "".join(f"\n[{one.get('index')}]: {one.get('url')}" for one in message["citations"])
    return f"## {heading}\n\n{text}{note}" + (f"\n{sources}" if sources else "")


def _taken(db: Connection, owner: str, thread: Any, at: str, now: float) -> str:
    _checked(thread, at, title=str, settings=dict, created_at=(int, float), updated_at=(int, float), pinned=bool)
    _checked({"head": None, **thread}, at, head=(str, NoneType))
    model = thread.get("model") if isinstance(thread.get("model"), str) else None
    made = threads.create(
        db, owner, thread["created_at"], title=thread["title"], model=model, settings=thread["settings"]
    )
    ids: dict[Any, str] = {}
    for place, message in enumerate(_list(thread, "messages", f"{at}.")):
        where = f"{at}.messages[{place}]"
        _checked(message, where, id=str, content=(str, list), role=str, state=str)
        _checked({"parent_id": None, "created_at": 0, **message}, where, parent_id=(str, NoneType), created_at=_NUMBER)
        if not all(isinstance(part, dict) for part in message["content"] if not isinstance(message["content"], str)):
            raise BadRequest(f"{where}.content must be text or a list of parts.", param=where)
        if message["role"] not in HEADINGS or message["state"] not in messages.STATES:
            raise BadRequest(f"{where} has an unknown role or state.", param=where)
        ids[message["id"]] = messages.restore(db, made["id"], message, ids.get(message.get("parent_id")), now)
    db.execute(
        "UPDATE threads SET head = ?, updated_at = ?, pinned = ? WHERE id = ?",
        (ids.get(thread.get("head")), thread["updated_at"], thread["pinned"], made["id"]),
    )
    return str(made["id"])


def _checked(value: Any, at: str, **kinds: type | tuple[type, ...]) -> None:
    """Raises BadRequest unless `value` is an object with members of these kinds."""
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
