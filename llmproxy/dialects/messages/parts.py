"""Translates blocks of a user's turn or of a tool's result to parts of a chat message."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llmproxy.core.chat import Json

SEE_BELOW = "[image below]"


def parts(content: Any, lost: list[str]) -> list[Json]:
    """The parts of a string or a list of blocks. Names of blocks that a chat does not have are added to `lost`."""
    if isinstance(content, str):
        return [_text(content)] if content else []
    return [part for block in blocks(content) for part in _parts(block, lost)]


def blocks(content: Any) -> list[Json]:
    """The blocks of a turn; a string is one block of text."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []


def shortest(made: list[Json]) -> str | list[Json]:
    """One string if all parts are text: not every server accepts lists."""
    if all(part["type"] == "text" for part in made):
        return "\n\n".join(part["text"] for part in made)
    return made


def text_of(made: list[Json]) -> str:
    return "\n\n".join(part["text"] for part in made if part["type"] == "text")


def result(block: Json, lost: list[str]) -> tuple[str, list[Json]]:
    """The text of a tool's result, and the parts that a tool message cannot have."""
    made = parts(block.get("content") or "", lost)
    others = [part for part in made if part["type"] != "text"]
    text = "\n\n".join([text_of(made)] * bool(text_of(made)) + [SEE_BELOW] * bool(others))
    return (f"Error: {text}" if block.get("is_error") is True else text), others


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _parts(block: Json, lost: list[str]) -> Iterator[Json]:
    read = _READ.get(block["type"] if isinstance(block.get("type"), str) else "")
    if read is None:
        lost.append(f"content.{block.get('type')}")
        return
    yield from read(block, lost)


def _plain_text(block: Json, lost: list[str]) -> Iterator[Json]:
    if isinstance(block.get("text"), str) and block["text"]:
        yield _text(block["text"])


def _image(block: Json, lost: list[str]) -> Iterator[Json]:
    url = _address(_source(block))
    if url:
        yield {"type": "image_url", "image_url": {"url": url}}
    else:
        lost.append("content.image")


def _document(block: Json, lost: list[str]) -> Iterator[Json]:
    source, title = _source(block), str(block.get("title") or "")
    head = "\n".join(str(block[name]) for name in ("title", "context") if block.get(name))
    if source.get("type") == "base64" and isinstance(source.get("data"), str):
        file = {"filename": title or "document.pdf", "file_data": _address(source)}
        yield {"type": "file", "file": file}
    elif source.get("type") == "text":
        yield _text(f"{head}\n\n{source.get('data') or ''}".strip())
    elif source.get("type") == "content":
        yield from [_text(head)] if head else []
        yield from parts(source.get("content") or "", lost)
    elif address := _address(source):
        yield {"type": "file", "file": {**({"filename": title} if title else {}), "file_data": address}}
    else:
        lost.append("content.document")


def _search_result(block: Json, lost: list[str]) -> Iterator[Json]:
    lines = [str(block[name]) for name in ("title", "source") if block.get(name)]
    yield _text("\n".join([*lines, text_of(parts(block.get("content") or "", lost))]))


def _reference(block: Json, lost: list[str]) -> Iterator[Json]:
    yield _text(f"Tool {block.get('tool_name')} is now available.")


_READ: Mapping[str, Callable[[Json, list[str]], Iterator[Json]]] = {
    "text": _plain_text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_reference": _reference,
}


def _source(block: Json) -> Json:
    source = block.get("source")
    return source if isinstance(source, dict) else {}


def _address(source: Json) -> str:
    """A data URL, or the URL itself; empty for sources that only Anthropic knows."""
    if source.get("type") == "base64" and isinstance(source.get("data"), str):
        return f"data:{source.get('media_type') or 'application/octet-stream'};base64,{source['data']}"
    return str(source.get("url") or "") if source.get("type") == "url" else ""
