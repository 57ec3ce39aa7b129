"""Chats of Claude's `conversations.json`: messages with blocks, in a row or, in newer exports, in a tree."""

from __future__ import annotations

from collections import Counter

import orjson

from llmproxy.core.chat import Json

from .tree import Node, a_call, a_file, a_result, a_text, a_thought, an_absent, in_a_row, thread
from .values import an_object, objects, seconds, text

_ROLES = {"human": "user", "assistant": "assistant"}
_SIGNS = frozenset(("token_budget", "flag"))  # blocks without anything to read


def claude_thread(chat: Json, left: Counter[str]) -> Json:
    given = objects(chat.get("chat_messages"))
    nodes = [_node(message, f"m{at}", left) for at, message in enumerate(given)]
    known = {one.id for one in nodes}
    if not any(one.parent in known for one in nodes):  # an older export: no parents
        in_a_row(nodes)
    newest = max(nodes, key=lambda node: node.created_at, default=None)
    return thread(
        nodes,
        text(chat.get("current_leaf_message_uuid")) or (newest.id if newest else ""),
        left,
        title=chat.get("name"),
        created=chat.get("created_at"),
        updated=chat.get("updated_at"),
        pinned=chat.get("is_starred"),
    )


def _node(message: Json, usual: str, left: Counter[str]) -> Node:
    node = Node(text(message.get("uuid")) or usual, text(message.get("parent_message_uuid")) or None)
    node.role = _ROLES.get(text(message.get("sender")), "")
    if not node.role:
        left["message"] += 1
        return node
    node.created_at = seconds(message.get("created_at"))
    blocks = objects(message.get("content"))
    node.parts = [part for block in blocks for part in _block(block, left)]
    if not any(part["type"] == "text" for part in node.parts):
        node.parts += a_text(text(message.get("text")))
    node.parts += _files(message, left)
    node.sources = _sources(blocks)
    return node


def _block(block: Json, left: Counter[str]) -> list[Json]:
    match text(block.get("type")):
        case "text":
            return a_text(text(block.get("text")))
        case "thinking":
            return a_thought(text(block.get("thinking")))
        case "tool_use":
            return [a_call(text(block.get("name")), orjson.dumps(block.get("input") or {}).decode())]
        case "tool_result":
            return _result(block, left)
        case kind if kind in _SIGNS:
            return []
        case kind:
            left[kind or "message"] += 1
            return []


def _result(block: Json, left: Counter[str]) -> list[Json]:
    content = block.get("content")
    if isinstance(content, str):
        return a_result(text(block.get("name")), content)
    words = []
    for piece in objects(content):
        title_or_text = text(piece.get("text")) or " ".join(
            filter(None, (text(piece.get("title")), text(piece.get("url"))))
        )
        if title_or_text:
            words.append(title_or_text)
        else:
            left[text(piece.get("type")) or "tool_result"] += 1
    return a_result(text(block.get("name")), "\n\n".join(words))


def _files(message: Json, left: Counter[str]) -> list[Json]:
    """Text of attached files is in the export; of all others only the name."""
    attached = objects(message.get("attachments"))
    parts = [
        a_file(text(one.get("file_name")) or "pasted.txt", words)
        for one in attached
        if (words := text(one.get("extracted_content")))
    ]
    bare = [one for one in attached if not text(one.get("extracted_content"))]
    others = [*bare, *objects(message.get("files")), *objects(message.get("files_v2"))]
    named = {text(one.get("file_name")): an_object(one) for one in others}
    for name, one in named.items():
        if name:
            parts += an_absent("image" if one.get("file_kind") == "image" else "file", name, left)
    return parts


def _sources(blocks: list[Json]) -> dict[str, str]:
    cited = [one for block in blocks for one in objects(block.get("citations"))]
    pages = [{**an_object(one.get("details")), **one} for one in cited]
    return {url: text(page.get("title")) for page in pages if (url := text(page.get("url"))).startswith("http")}
