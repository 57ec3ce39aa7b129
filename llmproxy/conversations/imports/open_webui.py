"""Chats of Open WebUI: a tree by `parentId`. Reasoning and tools are HTML in the text of an answer."""

from __future__ import annotations

import re
from collections import Counter
from html import unescape

from llmproxy.core.chat import Json

from .tree import Node, a_call, a_result, a_text, a_thought, an_absent, thread
from .values import an_object, objects, seconds, text

_DETAILS = re.compile(r'<details type="(reasoning|tool_calls|code_interpreter)"([^>]*)>(.*?)</details>', re.DOTALL)
_SUMMARY = re.compile(r"<summary>.*?</summary>", re.DOTALL)
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_QUOTED = re.compile(r"^> ?", re.MULTILINE)


def open_webui_thread(given: Json, left: Counter[str]) -> Json:
    chat = an_object(given.get("chat"))
    history = an_object(chat.get("history"))
    nodes = [_node(id, an_object(raw), left) for id, raw in an_object(history.get("messages")).items()]
    tags = [tag for tag in an_object(given.get("meta")).get("tags") or [] if isinstance(tag, str)]
    return thread(
        nodes,
        text(history.get("currentId")),
        left,
        title=given.get("title") or chat.get("title"),
        created=given.get("created_at") or chat.get("timestamp"),
        updated=given.get("updated_at"),
        pinned=given.get("pinned"),
        settings={"tags": tags} if tags else {},
    )


def _node(id: str, message: Json, left: Counter[str]) -> Node:
    node = Node(id, text(message.get("parentId")) or None)
    role = text(message.get("role"))
    if role not in ("user", "assistant"):
        left["system" if role == "system" else "message"] += 1
        return node
    content = text(message.get("content"))
    node.role = role
    node.parts = a_text(content) if role == "user" else list(_answer(content))
    node.parts += [part for one in objects(message.get("files")) for part in _file(one, role, left)]
    node.created_at, node.model = seconds(message.get("timestamp")), text(message.get("model")) or None
    spent = _DETAILS.search(content)
    duration = dict(_ATTRIBUTE.findall(spent[2])).get("duration", "") if spent and spent[1] == "reasoning" else ""
    node.reasoning_ms = 1000.0 * int(duration) if duration.isdigit() and int(duration) else None
    return node


def _answer(content: str) -> list[Json]:
    parts: list[Json] = []
    at = 0
    for found in _DETAILS.finditer(content):
        parts += a_text(content[at : found.start()].strip())
        parts += _detail(found[1], dict(_ATTRIBUTE.findall(found[2])), _SUMMARY.sub("", found[3]).strip())
        at = found.end()
    return parts + a_text(content[at:].strip() if at else content)


def _detail(kind: str, attributes: dict[str, str], words: str) -> list[Json]:
    if kind == "reasoning":
        return a_thought(_QUOTED.sub("", unescape(words)))
    name = attributes.get("name") or kind
    output = unescape(attributes.get("result") or attributes.get("output") or "")
    return [a_call(name, unescape(attributes.get("arguments") or words)), *a_result(name, output)]


def _file(file: Json, role: str, left: Counter[str]) -> list[Json]:
    """A picture that is in the export as a data URL; of all others only the name."""
    url, kind = text(file.get("url")), "image" if file.get("type") == "image" else "file"
    if kind == "image" and url.startswith("data:image/"):
        asked = {"type": "image_url", "image_url": {"url": url}}
        return [asked if role == "user" else {"type": "image", "url": url}]
    return an_absent(kind, text(file.get("name")) or url or "unnamed", left)
