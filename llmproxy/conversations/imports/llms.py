"""Threads of llms.py: messages in a row, with contents in OpenAI's form."""

from __future__ import annotations

from collections import Counter

from llmproxy.core.chat import Json

from .tree import Node, a_call, a_result, a_text, a_thought, an_absent, in_a_row, thread
from .values import an_object, objects, seconds, text


def llms_thread(given: Json, left: Counter[str]) -> Json:
    model = text(given.get("model")) or None
    nodes = [_node(message, str(at), model, left) for at, message in enumerate(objects(given.get("messages")))]
    system = text(given.get("systemPrompt"))
    return thread(
        in_a_row(nodes),
        nodes[-1].id if nodes else "",
        left,
        title=given.get("title"),
        created=given.get("createdAt"),
        updated=given.get("updatedAt"),
        settings={"system": system} if system else {},
    )


def _node(message: Json, id: str, model: str | None, left: Counter[str]) -> Node:
    node, role, content = Node(id, None), text(message.get("role")), message.get("content")
    node.created_at = seconds(message.get("timestamp"))
    if role == "user":
        node.role = role
        node.parts = a_text(content) if isinstance(content, str) else _contents(content, role, left)
    elif role == "assistant":
        node.role, node.model = role, text(message.get("model")) or model
        node.parts = [*a_thought(text(message.get("reasoning"))), *_calls(message)]
        node.parts += a_text(content) if isinstance(content, str) else _contents(content, role, left)
        node.parts += _contents(message.get("images"), role, left)
    elif role == "tool":
        node.role = "assistant"
        node.parts = a_result(text(message.get("name")), text(content))
    else:
        left["system" if role == "system" else "message"] += 1
    return node


def _calls(message: Json) -> list[Json]:
    called = [an_object(one.get("function")) for one in objects(message.get("tool_calls"))]
    return [a_call(text(one.get("name")), text(one.get("arguments"))) for one in called]


def _contents(parts: object, role: str, left: Counter[str]) -> list[Json]:
    return [kept for part in objects(parts) for kept in _part(part, role, left)]


def _part(part: Json, role: str, left: Counter[str]) -> list[Json]:
    """What holds its data is kept; of what lies in the other program's cache only the name."""
    if words := text(part.get("text")):
        return a_text(words)
    kind = text(part.get("type"))
    image, sound, file = (an_object(part.get(name)) for name in ("image_url", "input_audio", "file"))
    if text(image.get("url")).startswith("data:image/"):
        return [part if role == "user" else {"type": "image", "url": image["url"]}]
    held = text(file.get("file_data")).startswith("data:") or (text(sound.get("format")) and _is_base64(sound))
    if role == "user" and held and kind in ("file", "input_audio"):
        return [part]
    named = {"image_url": "image", "input_audio": "audio", "file": "file"}.get(kind, kind or "message")
    where = text(image.get("url")) or text(sound.get("data"))[:200] or text(file.get("filename")) or "unnamed"
    return an_absent(named, where, left)


def _is_base64(sound: Json) -> bool:
    data = text(sound.get("data"))
    return len(data) > 0 and not data.startswith(("/", "http"))
