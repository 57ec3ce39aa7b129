"""The tree of an imported chat: nodes as the other program has them in, messages of a thread out.

Other programs have a node for each step of an answer: a thought, a call of a tool, its result, a text. Here an answer is one
message with parts, so nodes of one answer that follow each other become one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from llmproxy.core.chat import Json
from llmproxy.dialects.native.parts import Parts

from .values import seconds, text

MOST_TITLE = 500
_FENCES = re.compile("`{3,}")


@dataclass(slots=True)
class Node:
    """One step. `parts` are those of an answer, or of a question's content; without any it only leads to others.

    A part of an answer is text, reasoning, `{"type": "tool_call", "name", "arguments"}` or `{"type": "image", "url"}`.
    """

    id: str
    parent: str | None
    role: str = ""
    parts: list[Json] = field(default_factory=list)
    created_at: float = 0.0
    model: str | None = None
    sources: dict[str, str] = field(default_factory=dict)  # titles by address; an empty title is not known
    reasoning_ms: float | None = None


def thread(nodes: list[Node], head: str, left: Counter[str], **about: Any) -> Json:
    """A thread as exports have it. about: title, created, updated, and optionally pinned and settings."""
    tree = _Tree(nodes)
    messages = tree.messages()
    if lost := sum(1 for one in nodes if one.parts) - tree.size:
        left["message"] += lost
    times = [one["created_at"] for one in messages if one["created_at"]]
    created = seconds(about.get("created")) or (times[0] if times else 0.0)
    return {
        "title": text(about.get("title"))[:MOST_TITLE],
        "model": next((one["model"] for one in reversed(messages) if one.get("model")), None),
        "pinned": about.get("pinned") is True,
        "settings": about.get("settings") or {},
        "created_at": created,
        "updated_at": seconds(about.get("updated")) or (times[-1] if times else created),
        "head": tree.place(head) or (messages[-1]["id"] if messages else None),
        "messages": messages,
    }


def in_a_row(nodes: list[Node]) -> list[Node]:
    """Each after the one before."""
    for before, node in pairwise(nodes):
        node.parent = before.id
    return nodes


class _Tree:
    """Nodes with parts in runs: a run is one message. Nodes that no root leads to, as in a circle, are not in it."""

    def __init__(self, nodes: list[Node]) -> None:
        self._above: dict[str, str | None] = {}  # of each node the nearest one above it that has parts
        self._first: dict[str, str] = {}  # of each node with parts the first one of its run
        self._runs: dict[str, list[Node]] = {}
        kept = list(self._descend(nodes))
        self.size = len(kept)
        followers = Counter(self._above[one.id] for one in kept)
        by_id = {one.id: one for one in kept}
        for node in kept:
            above = by_id.get(self._above[node.id] or "")
            goes_on = above is not None and above.role == node.role == "assistant" and followers[above.id] == 1
            self._first[node.id] = self._first[above.id] if above is not None and goes_on else node.id
            self._runs.setdefault(self._first[node.id], []).append(node)
        for node in nodes:  # a separate step after the thoughts has their duration
            above = by_id.get(self._above.get(node.id) or "")
            if above is not None and not node.parts:
                above.reasoning_ms = above.reasoning_ms or node.reasoning_ms

    def messages(self) -> list[Json]:
        """Each after the one that it follows."""
        return [_message(run, self.place(self._above[id])) for id, run in self._runs.items()]

    def place(self, id: str | None) -> str | None:
        """The message that a node became a part of; of one without parts the message above it."""
        at = id if id is None or id in self._first else self._above.get(id)
        return self._first.get(at or "")

    def _descend(self, nodes: list[Node]) -> Iterator[Node]:
        """The nodes with parts, each before those below it."""
        known = {one.id for one in nodes}
        below: dict[str | None, list[Node]] = {}
        for node in nodes:
            below.setdefault(node.parent if node.parent in known else None, []).append(node)
        waiting: list[tuple[Node, str | None]] = [(one, None) for one in reversed(below.get(None, ()))]
        while waiting:
            node, above = waiting.pop()
            self._above[node.id] = above
            if node.parts:
                yield node
            at = node.id if node.parts else above
            waiting += [(one, at) for one in reversed(below.get(node.id, ()))]


def _message(run: list[Node], parent_id: str | None) -> Json:
    first = run[0]
    said = {
        "id": first.id,
        "parent_id": parent_id,
        "role": first.role,
        "state": "complete",
        "created_at": next((one.created_at for one in run if one.created_at), 0.0),
    }
    if first.role == "user":
        return {**said, "content": _question(first.parts)}
    answer = {**said, **_answer([part for node in run for part in node.parts])}
    answer["citations"] = _numbered({url: title for node in run for url, title in node.sources.items()})
    known = {
        "model": next((one.model for one in reversed(run) if one.model), None),
        "reasoning_ms": next((one.reasoning_ms for one in run if one.reasoning_ms), None),
    }
    return {**answer, **{name: value for name, value in known.items() if value is not None}}


def _numbered(sources: dict[str, str]) -> list[Json]:
    return [
        {"index": at, "url": url, "title": title or None, "start": None, "end": None}
        for at, (url, title) in enumerate(sources.items(), 1)
    ]


def _question(parts: list[Json]) -> str | list[Json]:
    """Plain text where there is nothing else; a file as text is a part of its own."""
    if all(one["type"] == "text" and not one["text"].startswith("<file ") for one in parts):
        return "\n\n".join(one["text"] for one in parts)
    return parts


def _answer(parts: list[Json]) -> Json:
    order, texts = Parts(), {"text": "", "reasoning": ""}
    calls: list[Json] = []
    before = ""
    for part in parts:
        kind = part["type"]
        if kind in texts:
            order.take(_EVENTS[kind], {"t": ("\n\n" if before == kind else "") + part["text"]})
            texts[kind] += ("\n\n" if texts[kind] else "") + part["text"]
        elif kind == "tool_call":
            calls.append({"id": None, **part, "index": len(calls)})
            calls[-1].pop("type")
            order.take("tool_call", calls[-1])
        elif kind == "image":
            list(order.image(part["url"]))
        before = kind
    return {"content": texts["text"], "reasoning": texts["reasoning"], "tool_calls": calls, "parts": order.all}


_EVENTS = {"text": "token", "reasoning": "reasoning"}


def a_text(words: str) -> list[Json]:
    return [{"type": "text", "text": words}] if words.strip() else []


def a_thought(words: str) -> list[Json]:
    return [{"type": "reasoning", "text": words}] if words.strip() else []


def a_call(name: str, arguments: str) -> Json:
    return {"type": "tool_call", "name": name or "tool", "arguments": arguments}


def a_result(name: str, words: str) -> list[Json]:
    """The result of a tool. An answer has no place for it but among its reasoning, where other programs show it too."""
    fence = "`" * max(3, 1 + max((len(run) for run in _FENCES.findall(words)), default=0))
    return a_thought(f"{name or 'tool'}:\n\n{fence}\n{words.rstrip()}\n{fence}") if words.strip() else []


def a_file(name: str, words: str) -> Json:
    """A text file, in the form in which the page attaches one."""
    return {"type": "text", "text": f'<file name="{name.replace(chr(34), chr(39))}">\n{words}\n</file>'}


def an_absent(kind: str, name: str, left: Counter[str]) -> list[Json]:
    """Where something stood that the export only names, so that no message disappears with it."""
    left[kind] += 1
    return a_text(f"[{kind}: {name}]")
