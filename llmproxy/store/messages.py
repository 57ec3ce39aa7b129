"""Messages: the tree of questions and answers in a thread, and the growth and end of an answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Literal

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

from . import threads, titles
from .json_columns import read_json

if TYPE_CHECKING:
    from .connection import Connection, Row

Content = str | list[Json]
State = Literal["complete", "stopped", "failed"]

FACTS: Json = {  # facts about an answer besides its text, with their defaults
    "reasoning": "",
    "tool_calls": [],
    "citations": [],
    "error": None,
    "model": None,
    "provider": None,
    "usage": None,
    "cost": None,
    "ttft_ms": None,
    "duration_ms": None,
    "reasoning_ms": None,
    "attempts": None,
    "failures": [],
    "route": None,
    "finish_reason": None,
    "closed_ms": None,
}
OF_ANSWERS: Json = {"tokens_per_second": None, "parts": []}
STATES = frozenset(("complete", "streaming", "stopped", "failed", "lost"))


@dataclass(frozen=True, slots=True)
class Ask:
    """A question in a thread. Exactly one of content, answer_to and going_on is set.

    follows_head: the question comes after the shown message; otherwise after `parent_id`, where None means a new root.
    """

    request_id: str
    answer_id: str  # chosen by the one who asks, who can so end the answer whatever becomes of the asking
    process: str
    model: str = ""
    content: Content | None = None
    follows_head: bool = True
    parent_id: str | None = None
    answer_to: str | None = None
    going_on: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The stored question and its future answer; `conversation` contains all messages up to the question."""

    thread: Json
    question_id: str
    answer_id: str
    conversation: tuple[Json, ...]
    before: str = ""  # what the answer goes on from
    named: str | None = None  # the title, if the question gave the thread one
    untitled: bool = False  # whether the title is only the first words so far


@dataclass(frozen=True, slots=True)
class Ended:
    """A finished answer. `facts` has all members of FACTS that are known."""

    state: State
    text: str
    facts: Json


def ask(db: Connection, owner: str, thread_id: str, what: Ask, now: float) -> Asked:
    """Stores the question and an empty answer, which becomes the head. Raises NotFound, BadRequest."""
    db.lock("threads", thread_id)  # of two questions at once, one follows the other's answer
    thread = threads.present(db, owner, thread_id)
    question_id, before = _question(db, thread, what, now)
    _insert(
        db,
        before,
        id=what.answer_id,
        thread_id=thread_id,
        parent_id=question_id,
        role="assistant",
        state="streaming",
        request_id=what.request_id,
        process=what.process,
        created_at=now,
        facts=json.dumps({"model": what.model}),
    )
    db.execute(
        "UPDATE threads SET head = ?, updated_at = ?, model = coalesce(model, ?) WHERE id = ?",
        (what.answer_id, now, what.model, thread_id),
    )
    now_is = threads.thread(db, owner, thread_id)
    return Asked(
        thread=now_is,
        question_id=question_id,
        answer_id=what.answer_id,
        conversation=tuple(path(db, thread_id, question_id)),
        before=before,
        named=now_is["title"] if now_is["title"] != thread["title"] else None,
        untitled=not threads.titled(db, thread_id),
    )


def checkpoint(db: Connection, answer_id: str, text: str, reasoning: str) -> None:
    """Stores the answer so far. Does nothing if it has ended or was removed."""
    db.execute(
        f"UPDATE messages SET text = ?, facts = {db.sql.with_member.format('facts', 'reasoning')} "
        "WHERE id = ? AND state = 'streaming'",
        (text, reasoning, answer_id),
    )


def end(db: Connection, answer_id: str, ended: Ended, now: float) -> bool:
    """Stores the end of the answer, once. Returns whether this was its end.

    An answer that was marked lost is corrected, because its process is alive: it was only disconnected from the database.
    """
    # The thread first, as everywhere: two that need both rows take them in one order.
    db.execute(
        "UPDATE threads SET updated_at = ? WHERE id = (SELECT thread_id FROM messages WHERE id = ?)", (now, answer_id)
    )
    grew = db.execute(
        "UPDATE messages SET state = ?, text = ?, facts = ?, process = NULL "
        "WHERE id = ? AND state IN ('streaming', 'lost')",
        (ended.state, ended.text, json.dumps(ended.facts), answer_id),
    )
    if grew.rowcount:
        db.index(answer_id, ended.text)
    return grew.rowcount > 0


def lose(db: Connection, process: str) -> None:
    """Marks the answers that a process left unfinished when it died."""
    unfinished = db.execute(
        "UPDATE messages SET state = 'lost', process = NULL WHERE state = 'streaming' AND process = ? RETURNING id, text",
        (process,),
    )
    for id, text in unfinished.fetchall():
        db.index(id, text)


def give_up(db: Connection, answer_id: str) -> None:
    """Marks an answer whose end was not kept, with what was kept of it until then."""
    row = db.execute(
        "UPDATE messages SET state = 'lost', process = NULL WHERE state = 'streaming' AND id = ? RETURNING text",
        (answer_id,),
    ).fetchone()
    if row is not None:
        db.index(answer_id, row["text"])


def of_thread(db: Connection, owner: str, thread_id: str) -> Json:
    """`{"thread", "messages"}` with all branches, oldest first."""
    thread = threads.thread(db, owner, thread_id)
    rows = db.execute("SELECT * FROM messages WHERE thread_id = ? ORDER BY seq", (thread_id,))
    return {"thread": thread, "messages": [message(row) for row in rows]}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a thread: `tail` messages up to the newest leaf at or below `at`, or those before `before`."""

    tail: int
    at: str | None = None  # None is the thread's head
    before: str | None = None


def part_of_thread(db: Connection, owner: str, thread_id: str, part: Part) -> Json:
    """`{"thread", "messages", "head", "more"}`: a part of one branch, with the siblings of each of its messages.

    head is the branch's leaf; more: whether it has messages before these. A thread of at most `tail` messages is returned
    whole.
    """
    thread = threads.thread(db, owner, thread_id)
    branches = _Branches(db, thread_id)
    for name, id in (("at", part.at), ("before", part.before)):
        if id is not None and id not in branches.parents:
            raise BadRequest(f"{name} is not a message of this thread.", param=name)
    head = branches.leaf(part.at) if part.at is not None else thread["head"]
    upwards = branches.up(head if part.before is None else branches.parents[part.before])
    shown = upwards[: part.tail]
    more = len(upwards) > part.tail
    if part.before is None and len(branches.parents) <= part.tail:
        wanted = list(branches.parents)
    else:
        wanted = [id for one in shown for id in branches.children[branches.parents[one]]]
    rows = db.execute(f"SELECT * FROM messages WHERE id IN {db.sql.among} ORDER BY seq", (json.dumps(wanted),))
    return {"thread": thread, "messages": [message(row) for row in rows], "head": head, "more": more}


class _Branches:
    """A thread's tree without the contents of its messages."""

    def __init__(self, db: Connection, thread_id: str) -> None:
        rows = db.execute("SELECT id, parent_id FROM messages WHERE thread_id = ? ORDER BY seq", (thread_id,))
        self.parents: dict[str, str | None] = dict(rows.fetchall())
        self.children: dict[str | None, list[str]] = {}
        for id, parent in self.parents.items():
            self.children.setdefault(parent, []).append(id)

    def leaf(self, id: str) -> str:
        """The newest leaf at or below a message."""
        while below := self.children.get(id):
            id = below[-1]
        return id

    def up(self, id: str | None) -> list[str]:
        """From a message to its root."""
        found: list[str] = []
        while id is not None and id in self.parents:
            found.append(id)
            id = self.parents[id]
        return found


def path(db: Connection, thread_id: str, leaf: str | None) -> list[Json]:
    """The messages from the root to `leaf`."""
    rows = db.execute(
        """WITH RECURSIVE up (id, depth) AS (
             SELECT CAST(? AS TEXT), 0 UNION ALL SELECT m.parent_id, depth + 1 FROM up JOIN messages m ON m.id = up.id
               WHERE m.parent_id IS NOT NULL)
           SELECT m.* FROM up JOIN messages m ON m.id = up.id WHERE m.thread_id = ? ORDER BY depth DESC""",
        (leaf, thread_id),
    )
    return [message(row) for row in rows]


def restore(db: Connection, thread_id: str, message: Json, parent_id: str | None, now: float) -> str:
    """Imports a message from an export, with a new ID. An answer that was still growing then is lost."""
    facts = {name: message[name] for name, usual in _known(message["role"]).items() if _like(usual, message.get(name))}
    return _insert(
        db,
        message["content"],
        thread_id=thread_id,
        parent_id=parent_id,
        role=message["role"],
        state="lost" if message["state"] == "streaming" else message["state"],
        created_at=message.get("created_at") or now,
        facts=json.dumps(facts),
    )


def new_id() -> str:
    return token_urlsafe(12)


def text_of(content: Content) -> str:
    """The text of a message."""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))


def message(row: Row) -> Json:
    """The message in the form of the API."""
    facts = {**_known(row["role"]), **read_json(row["facts"])}
    return {
        "id": row["id"],
        "thread_id": row["thread_id"],
        "parent_id": row["parent_id"],
        "role": row["role"],
        "content": row["text"] if row["parts"] is None else read_json(row["parts"]),
        "state": row["state"],
        "request_id": row["request_id"],
        "created_at": row["created_at"],
        **facts,
    }


def _known(role: str) -> Json:
    return {**FACTS, **OF_ANSWERS} if role == "assistant" else FACTS


def _like(usual: object, value: object) -> bool:
    """Whether a fact from a file has the type that we would have written."""
    if isinstance(usual, list):
        return isinstance(value, list) and all(isinstance(one, (dict, str)) for one in value)
    return value is not None and (usual is None or type(value) is type(usual))


def _question(db: Connection, thread: Json, what: Ask, now: float) -> tuple[str, str]:
    """The ID of the question to answer, and the beginning of its answer."""
    if what.answer_to is not None:
        return _there(db, thread, what.answer_to, "user", "answer_to")["id"], ""
    if what.going_on is not None:
        answer = _there(db, thread, what.going_on, "assistant", "continue")
        if answer["state"] == "streaming":
            raise BadRequest("That answer is still growing.", param="continue")
        return _there(db, thread, answer["parent_id"], "user", "continue")["id"], answer["text"]
    parent_id = thread["head"] if what.follows_head else what.parent_id
    if parent_id is not None and not what.follows_head:
        _there(db, thread, parent_id, None, "parent_id")
    content = what.content or ""
    if not thread["title"]:
        title = titles.first_words(titles.named_by(content))
        db.execute("UPDATE threads SET title = ? WHERE id = ?", (title, thread["id"]))
    members = {
        "thread_id": thread["id"],
        "parent_id": parent_id,
        "role": "user",
        "state": "complete",
        "created_at": now,
    }
    return _insert(db, content, **members), ""


def _there(db: Connection, thread: Json, id: str | None, role: str | None, param: str) -> Row:
    row: Row | None = db.execute("SELECT * FROM messages WHERE id = ? AND thread_id = ?", (id, thread["id"])).fetchone()
    if row is None or role not in (None, row["role"]):
        raise BadRequest(f"{param} is not a fitting message of this thread.", param=param)
    return row


def _insert(db: Connection, content: Content, **columns: Any) -> str:
    """Inserts a row of `messages` with these columns and its content. Returns its ID."""
    parts = None if isinstance(content, str) else json.dumps(content)
    row = {"id": new_id(), "text": text_of(content), "parts": parts, **columns}
    places = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO messages ({', '.join(row)}) VALUES ({places})", tuple(row.values()))
    if row["state"] != "streaming":
        db.index(row["id"], row["text"])
    return str(row["id"])
