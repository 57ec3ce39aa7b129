"""Translates parts of chat messages to content blocks: text, images, documents. Blocks of Messages' own are passed on."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

# Blocks of Messages that a chat client may send.
_OWN = frozenset(("image", "document", "search_result", "container_upload", "tool_reference"))
_DATA = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?)(;base64)?,", re.IGNORECASE)
_KINDS = {"image/jpg": "image/jpeg", "application/x-pdf": "application/pdf"}
_ENDINGS = {
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
_TEXTS = re.compile(r"text/|application/(?:json|xml|x-yaml|yaml|javascript)$")
_TEXT_ENDINGS = re.compile(r"\.(?:txt|md|csv|json|xml|ya?ml|html?|css|js|ts|py|log|toml|ini|sh|sql)$", re.IGNORECASE)


def encode_content(where: str, content: Any) -> list[Json]:
    """The blocks of a message's content, without blank text, which Anthropic refuses. Raises BadRequest."""
    if content is None:
        return []
    if isinstance(content, str):
        return [text_block(content)] if content.strip() else []
    if not isinstance(content, list):
        raise BadRequest(f"{where} must be a text or a list of parts.", param=where)
    found = (_part(f"{where}[{at}]", part) for at, part in enumerate(content))
    return [block for block in found if block is not None]


def text_block(text: str) -> Json:
    return {"type": "text", "text": text}


def _part(where: str, part: Any) -> Json | None:
    if isinstance(part, str):
        return text_block(part) if part.strip() else None
    if not isinstance(part, dict):
        raise BadRequest(f"{where} must be an object.", param=where)
    kind = str(part.get("type"))
    if kind in _OWN:
        return part
    encode = _ENCODERS.get(kind)
    if encode is None:
        raise BadRequest(f"{where}: Claude takes no {kind[:40]!r} parts.", param=where, code="unsupported_value")
    block = encode(where, part)
    return block and {**block, **{name: part[name] for name in ("cache_control",) if part.get(name)}}


def _text(where: str, part: Json) -> Json | None:
    text = part.get("text", part.get("refusal"))
    if not isinstance(text, str):
        raise BadRequest(f"{where} has no text.", param=f"{where}.text")
    cited = {"citations": part["citations"]} if isinstance(part.get("citations"), list) else {}
    return {**text_block(text), **cited} if text.strip() else None


def _image(where: str, part: Json) -> Json:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str) or not url:
        raise BadRequest(f"{where} has no address of an image.", param=f"{where}.image_url.url")
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    kind, data = _unpacked(where, url)
    return {"type": "image", "source": {"type": "base64", "media_type": kind or "image/png", "data": data}}


def _file(where: str, part: Json) -> Json:
    given = part.get("file")
    file: Json = given if isinstance(given, dict) else {}
    name = file.get("filename")
    name = name if isinstance(name, str) else ""
    beside: Json = {"title": name} if name else {}
    beside |= {key: holder[key] for holder in (file, part) for key in ("citations", "context") if holder.get(key)}
    if isinstance(file.get("file_id"), str) and file["file_id"]:
        return {"type": "document", "source": {"type": "file", "file_id": file["file_id"]}, **beside}
    data = file.get("file_data")
    if not isinstance(data, str) or not data:
        raise BadRequest(f"{where} has neither `file_data` nor `file_id`.", param=f"{where}.file")
    if data.startswith(("http://", "https://")):
        return {"type": "document", "source": {"type": "url", "url": data}, **beside}
    kind, data = _unpacked(where, data) if data.startswith("data:") else ("", data)
    return _document(where, _kind(kind, name), data, beside)


def _document(where: str, kind: str, data: str, beside: Json) -> Json:
    if kind.startswith("image/"):
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    if not _TEXTS.match(kind):
        return {"type": "document", "source": {"type": "base64", "media_type": kind, "data": data}, **beside}
    try:
        text = base64.b64decode(data).decode()
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"{where} is no text in UTF-8.", param=f"{where}.file.file_data") from error
    return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}, **beside}


def _kind(media_type: str, name: str) -> str:
    if media_type and media_type != "application/octet-stream":
        return media_type
    ending = name[name.rfind(".") :].lower() if "." in name else ""
    return _ENDINGS.get(ending) or ("text/plain" if _TEXT_ENDINGS.search(name) else "application/pdf")


def _unpacked(where: str, url: str) -> tuple[str, str]:
    """MIME type and base64 text of a `data:` URL."""
    found = _DATA.match(url)
    if found is None or found[3] is None:
        raise BadRequest(f"{where} is a data address without base64.", param=where)
    kind = found[1].lower()
    return _KINDS.get(kind, kind), url[found.end() :]


_ENCODERS = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _text,
    "image_url": _image,
    "file": _file,
}
