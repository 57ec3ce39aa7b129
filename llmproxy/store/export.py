"""Exports threads as JSON, which can be imported, and as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmproxy.core.chat import Json

from . import markdown, messages, threads

if TYPE_CHECKING:
    from .connection import Connection

FORMAT = "llmproxy-threads"
VERSION = 1


def as_json(db: Connection, owner: str, thread_id: str | None, now: float) -> Json:
    """One thread, or all that are not deleted, each with its `messages`."""
    found = [messages.of_thread(db, owner, id) for id in _ids(db, owner, thread_id)]
    exported = [{**one["thread"], "messages": one["messages"]} for one in found]
    return {"format": FORMAT, "version": VERSION, "exported_at": now, "threads": exported}


def as_markdown(db: Connection, owner: str, thread_id: str | None) -> str:
    """The shown branch of each thread, which ends at its head."""
    pages = []
    for id in _ids(db, owner, thread_id):
        thread = threads.thread(db, owner, id)
        sections = [markdown.section(message) for message in messages.path(db, id, thread["head"])]
        pages.append("\n\n".join([f"# {thread['title'] or 'Untitled'}", *sections]))
    return "\n\n---\n\n".join(pages) + "\n"


def file_name(title: str, ending: str) -> str:
    """A file name that is valid on every file system."""
    plain = re.sub(r"[^\w-]+", "-", title, flags=re.ASCII).strip("-").lower()[:60]
    return f"{plain or 'thread'}.{ending}"


def _ids(db: Connection, owner: str, thread_id: str | None) -> list[str]:
    if thread_id is not None:
        return [thread_id]
    rows = db.execute("SELECT id FROM threads WHERE owner = ? AND deleted_at IS NULL ORDER BY created_at, id", (owner,))
    return [id for (id,) in rows]
