"""Converts one part of a message (text, image, audio or file) to a Gemini part. The gateway fetches no URLs; Google does."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from llmproxy.adapter_kit import BadRequest, Json

from .mime import known, of_data, of_format, of_name

_DATA_URL = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")
_YOUTUBE = re.compile(r"(?:[a-z]+\.)*(?:youtube(?:-nocookie)?\.com|youtu\.be)")
_RESOLUTIONS = {"low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH"}


class Media:
    """Collects the `detail` of images, because Gemini has one resolution for the whole request."""

    def __init__(self) -> None:
        self.details: set[str] = set()

    @property
    def resolution(self) -> str | None:
        return _RESOLUTIONS.get(next(iter(self.details))) if len(self.details) == 1 else None

    @property
    def mixed(self) -> bool:
        return len(self.details) > 1


def as_list(content: Any) -> list[Any]:
    """Content as a list: it may be null, a string, a list of parts, or a single part."""
    if content is None:
        return []
    return content if isinstance(content, list) else [content]


def render_part(where: str, part: Any, media: Media) -> Json | None:
    """The Gemini part; None for empty text, which Gemini refuses. where: path of the part, for errors. Raises BadRequest."""
    if isinstance(part, str):
        return {"text": part} if part else None
    kind = part.get("type") if isinstance(part, dict) else None
    render = _KINDS.get(str(kind))
    if render is None:
        raise BadRequest(f"{where}: a part of type {kind!r} cannot be given to Gemini.", param=where)
    return render(where, part, media)


def _text(where: str, part: Json, media: Media) -> Json | None:
    text = part.get("text") or part.get("refusal")
    return {"text": text} if isinstance(text, str) and text else None


def _by_url(kind: str, default: str) -> Callable[[str, Json, Media], Json]:
    """Renders `image_url` or `video_url`: a data: URL, or a URL that Google fetches."""

    def render(where: str, part: Json, media: Media) -> Json:
        given = part.get(kind)
        linked: Json = given if isinstance(given, dict) else {"url": given}
        if kind == "image_url":
            media.details.add(str(linked.get("detail") or "auto"))
        return _url_part(
            where, linked.get("url"), known(linked.get("mime_type")) or known(linked.get("format")), default
        )

    return render


def _url_part(where: str, url: Any, mime: str | None, default: str) -> Json:
    if not isinstance(url, str) or not url:
        raise BadRequest(f"{where}: a URL is missing.", param=where)
    if url[:5].lower() == "data:":
        return _inline_url(where, url, mime, default)
    address = _address(where, url)
    if address.scheme != "gs" and _YOUTUBE.fullmatch(address.hostname or ""):
        return {"fileData": {"mimeType": mime if mime and mime.startswith("video/") else "video/mp4", "fileUri": url}}
    mime = mime or of_name(address.path)
    if mime is None and "/files/" in url and "googleapis.com" in url:  # an uploaded file: Google knows its type
        return {"fileData": {"fileUri": url}}
    return {"fileData": {"mimeType": mime or default, "fileUri": url}}


def _address(where: str, url: str) -> SplitResult:
    try:
        address = urlsplit(url)
    except ValueError as error:
        raise BadRequest(f"{where}: this is not a URL.", param=where) from error
    if address.scheme not in ("http", "https", "gs"):
        raise BadRequest(f"{where}: only data:, https: and gs: URLs can be given to Gemini.", param=where)
    return address


def _inline_url(where: str, url: str, mime: str | None, default: str) -> Json:
    head = _DATA_URL.match(url)
    if head is None:
        raise BadRequest(f"{where}: this is not a data: URL.", param=where)
    options, data = head[2].lower(), url[head.end() :]
    if ";base64" not in options:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return _inline(where, data, known(head[1]) or mime or of_data(data) or default)


def _inline(where: str, data: Any, mime: str) -> Json:
    return {"inlineData": {"mimeType": mime, "data": _checked(where, data)}}


def _checked(where: str, data: Any) -> str:
    """Base64, converted to the standard alphabet with padding if needed. Raises BadRequest."""
    if isinstance(data, str) and data:
        for text in (data, _standard(data)):
            try:
                base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                continue
            return text
    raise BadRequest(f"{where}: the data is not base64.", param=where, code="invalid_base64")


def _standard(data: str) -> str:
    compact = "".join(data.split()).translate(_URL_SAFE).rstrip("=")
    return compact + "=" * (-len(compact) % 4)


def _audio(where: str, part: Json, media: Media) -> Json:
    given = part.get("input_audio")
    audio: Json = given if isinstance(given, dict) else {}
    return _inline(where, audio.get("data"), of_format(str(audio.get("format") or "wav").lower()))


def _file(where: str, part: Json, media: Media) -> Json:
    given = part.get("file")
    file: Json = given if isinstance(given, dict) else {}
    named = known(file.get("format")) or known(file.get("mime_type")) or of_name(file.get("filename"))
    data, id = file.get("file_data"), file.get("file_id")
    for given in (data, id):
        if isinstance(given, str) and (given[:5].lower() == "data:" or "://" in given[:16]):
            return _url_part(where, given, named, "application/pdf")
    if data:
        return _inline(where, data, named or of_data(data) or "application/pdf")
    raise BadRequest(f"{where}: Gemini does not know files by OpenAI's file_id; send file_data.", param=f"{where}.file")


_KINDS: dict[str, Callable[[str, Json, Media], Json | None]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _text,
    "image_url": _by_url("image_url", "image/jpeg"),
    "video_url": _by_url("video_url", "video/mp4"),
    "input_audio": _audio,
    "file": _file,
}
