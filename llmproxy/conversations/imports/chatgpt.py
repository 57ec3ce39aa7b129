"""Chats of ChatGPT's `conversations.json`: a tree of nodes, with the steps of an answer as nodes of their own."""

from __future__ import annotations

import re
from collections import Counter

from llmproxy.core.chat import Json

from .tree import Node, a_call, a_result, a_text, a_thought, an_absent, thread
from .values import an_object, objects, seconds, text

_SPOKEN = frozenset(("", "text", "multimodal_text"))
_ALL = frozenset(("", "all"))  # recipients: everybody, and not a tool
_MARKS = re.compile("\ue200.*?\ue201", re.DOTALL)  # a citation for the program itself, in private letters
_SCHEME = re.compile(r"^[a-z-]+://")
_TEXTS = ("text", "result", "content", "summary")  # members of other kinds of content


def chatgpt_thread(chat: Json, left: Counter[str]) -> Json:
    nodes = [_node(id, an_object(raw), left) for id, raw in an_object(chat.get("mapping")).items()]
    return thread(
        nodes,
        text(chat.get("current_node")),
        left,
        title=chat.get("title"),
        created=chat.get("create_time"),
        updated=chat.get("update_time"),
        pinned=chat.get("is_starred") or chat.get("pinned_time") is not None,
    )


def _node(id: str, raw: Json, left: Counter[str]) -> Node:
    node = Node(id, text(raw.get("parent")) or None)
    message = an_object(raw.get("message"))
    metadata, content = an_object(message.get("metadata")), an_object(message.get("content"))
    author = an_object(message.get("author"))
    role, kind = text(author.get("role")), text(content.get("content_type"))
    if metadata.get("is_visually_hidden_from_conversation") is True or role == "system":
        if _words(content, Counter()):
            left["system" if role == "system" else "hidden"] += 1
        return node
    node.created_at = seconds(message.get("create_time"))
    node.model = text(metadata.get("model_slug")) or None
    if role == "user":
        node.role, node.parts = "user", _question(content, kind, left)
    elif role in ("assistant", "tool"):
        node.role = "assistant"
        node.parts = _step(message, role, text(author.get("name")), left)
        node.sources = _sources(metadata)
        spent = metadata.get("finished_duration_sec")
        node.reasoning_ms = 1000 * float(spent) if isinstance(spent, (int, float)) and spent > 0 else None
    return node


def _question(content: Json, kind: str, left: Counter[str]) -> list[Json]:
    if kind in _SPOKEN or kind == "code":
        return _words(content, left)
    left[kind] += 1
    return []


def _step(message: Json, role: str, name: str, left: Counter[str]) -> list[Json]:
    """The parts of one step of an answer."""
    content, recipient = an_object(message.get("content")), text(message.get("recipient"))
    kind = text(content.get("content_type"))
    if kind == "thoughts":
        return [part for one in objects(content.get("thoughts")) for part in a_thought(_thought(one))]
    if kind == "reasoning_recap":
        seen = an_object(message.get("metadata")).get("finished_duration_sec")
        return [] if seen is not None else a_thought(text(content.get("content")))
    if role == "tool":
        return _output(content, name, left)
    if recipient not in _ALL:
        content_text = text(content.get("text")) or "\n\n".join(one["text"] for one in _words(content, left))
        return [a_call(recipient, content_text)] if content_text else []
    if kind == "code":
        return _code(content)
    if kind in _SPOKEN:
        return _cleaned(_words(content, left), an_object(message.get("metadata")))
    return _other(content, name, kind, left)


def _output(content: Json, name: str, left: Counter[str]) -> list[Json]:
    """What a tool gave. Its pictures belong to the answer, its words to the way there."""
    kind = text(content.get("content_type"))
    if kind not in _SPOKEN:
        return _other(content, name, kind, left)
    words = "\n\n".join(one for one in _list_of_texts(content) if one)
    drawn = [part for one in objects(content.get("parts")) for part in _pointed(one, left)]
    return [*a_result(name, words), *drawn]


def _other(content: Json, name: str, kind: str, left: Counter[str]) -> list[Json]:
    """`execution_output`, `tether_quote`, `tether_browsing_display`, `system_error` and what comes after them: their text."""
    content_text = next((words for member in _TEXTS if (words := text(content.get(member)))), "")
    if not content_text:
        if kind:
            left[kind] += 1
        return []
    about = " ".join(filter(None, (text(content.get("title")), text(content.get("url")))))
    return a_result(about or name or text(content.get("name")) or kind, content_text)


def _thought(one: Json) -> str:
    """A thought's summary is its heading."""
    heading, body = text(one.get("summary")), text(one.get("content"))
    return "\n\n".join(filter(None, (f"**{heading}**" if heading else "", body)))


def _code(content: Json) -> list[Json]:
    words, language = text(content.get("text")), text(content.get("language")).replace("unknown", "")
    return a_text(f"```{language}\n{words}\n```") if words else []


def _list_of_texts(content: Json) -> list[str]:
    parts = content.get("parts")
    return [one for one in parts if isinstance(one, str)] if isinstance(parts, list) else [text(content.get("text"))]


def _words(content: Json, left: Counter[str]) -> list[Json]:
    parts = content.get("parts")
    if not isinstance(parts, list):
        return a_text(text(content.get("text")))
    return [part for one in parts for part in (a_text(one) if isinstance(one, str) else _pointed(an_object(one), left))]


def _pointed(part: Json, left: Counter[str]) -> list[Json]:
    """A spoken text, or a picture or sound: exports only point at these."""
    if words := text(part.get("text")):
        return a_text(words)
    kind = text(part.get("content_type"))
    pointer = text(part.get("asset_pointer")) or text(an_object(part.get("audio_asset_pointer")).get("asset_pointer"))
    if not pointer:
        if kind:
            left[kind] += 1
        return []
    named = "image" if kind.startswith("image") else "audio" if "audio" in kind else "file"
    return an_absent(named, _SCHEME.sub("", pointer), left)


def _cleaned(parts: list[Json], metadata: Json) -> list[Json]:
    """Citations are in private letters in the text; what they show stands in the metadata."""
    shown = {
        matched: text(one.get("alt"))
        for one in objects(metadata.get("content_references"))
        if (matched := text(one.get("matched_text"))).strip()
    }
    for matched, alt in shown.items():
        parts = [{**one, "text": one["text"].replace(matched, alt)} if "\ue200" in matched else one for one in parts]
    return [{**one, "text": _MARKS.sub("", one["text"])} for one in parts]


def _sources(metadata: Json) -> dict[str, str]:
    """The sources of a text: of pages that were searched, and of older quotations."""
    pages = [page for one in objects(metadata.get("content_references")) for page in objects(one.get("items"))]
    pages += [an_object(one.get("metadata")) for one in objects(metadata.get("citations"))]
    return {url: text(page.get("title")) for page in pages if (url := text(page.get("url"))).startswith("http")}
