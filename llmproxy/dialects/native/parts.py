"""An answer as an ordered list of parts: text, reasoning, calls, images and audio."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from llmproxy.core.chat import Json

MEDIA_BYTES = 16 * 1024 * 1024  # base64 of all images and audio of one answer; more is omitted and named
_TYPES = {"token": "text", "reasoning": "reasoning"}
_PLAIN = ("reasoning", "text", "tool_call")  # the order that the answer's other members imply

Event = tuple[str, Json]


class Parts:
    """Takes the events of one answer.

    A part is `{"type": "text" | "reasoning", "text"}`, `{"type": "tool_call", "index"}`, `{"type": "image", "url"}` or
    `{"type": "audio", "data", "transcript"}`; `{"omitted": bytes}` replaces `url` or `data` of what is too large.
    An image that its provider signed also has `extra_content`, which is kept for the next request and not sent as an event.
    """

    def __init__(self, before: str = "") -> None:
        self._parts: list[Json] = []
        self._pieces: list[list[str]] = []  # the text of each part, joined on demand
        self._sounds: dict[int, bytearray] = {}
        self._room = MEDIA_BYTES
        self._drawn: set[str] = set()
        if before:
            self.take("token", {"t": before})

    def take(self, name: str, data: Json) -> None:
        if name in _TYPES:
            self._grow(_TYPES[name], data["t"])
        elif name == "tool_call" and "name" in data:
            self._add({"type": "tool_call", "index": data["index"]})

    def image(self, url: str, extra: Json | None = None) -> Iterator[Event]:
        """Adds an image once: some providers repeat it."""
        if url in self._drawn:
            return
        self._drawn.add(url)
        drawn = {"url": url} if self._fits(len(url)) else {"omitted": len(url)}
        self._add({"type": "image", **drawn, **({"extra_content": extra} if extra and "url" in drawn else {})})
        yield "image", drawn

    def audio(self, data: str, transcript: str) -> Iterator[Event]:
        """Adds a piece of audio and its transcript."""
        sound = _bytes(data)
        if not sound and not transcript:
            return
        at = self._last("audio")
        self._pieces[at].append(transcript)
        if sound and not self._fits(len(data)):
            self._parts[at]["omitted"] = self._parts[at].get("omitted", 0) + len(sound)
            data = ""
        elif sound:
            self._sounds.setdefault(at, bytearray()).extend(sound)
        yield "audio", {"data": data, "transcript": transcript}

    @property
    def all(self) -> list[Json]:
        """All parts. Empty if their order says no more than text, reasoning and tool calls do by themselves."""
        kinds = [part["type"] for part in self._parts]
        places = [_PLAIN.index(kind) if kind in _PLAIN else -1 for kind in kinds]
        if -1 not in places and places == sorted(places) and kinds.count("text") < 2 and kinds.count("reasoning") < 2:
            return []
        return [self._whole(at) for at in range(len(self._parts))]

    def _whole(self, at: int) -> Json:
        part, text = dict(self._parts[at]), "".join(self._pieces[at])
        if part["type"] in ("text", "reasoning"):
            part["text"] = text
        elif part["type"] == "audio":
            part |= {"data": base64.b64encode(self._sounds.get(at, b"")).decode(), "transcript": text}
        return part

    def _fits(self, size: int) -> bool:
        fits = size <= self._room
        self._room -= size if fits else 0
        return fits

    def _grow(self, kind: str, text: str) -> None:
        self._pieces[self._last(kind)].append(text)

    def _last(self, kind: str) -> int:
        """The index of the last part, which is of this kind; a new one if it is not."""
        if not self._parts or self._parts[-1]["type"] != kind:
            self._add({"type": kind})
        return len(self._parts) - 1

    def _add(self, part: Json) -> None:
        self._parts.append(part)
        self._pieces.append([])


def _bytes(data: str) -> bytes:
    """Decodes one piece; each piece has its own padding, or none."""
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4))
    except binascii.Error:
        return b""
