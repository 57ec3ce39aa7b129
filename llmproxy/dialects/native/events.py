"""Translates OpenAI's chunks to the events of the native stream: token, reasoning, tool_call, citation, usage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.errors import Malformed
from llmproxy.wire import sse

from .parts import Parts

Event = tuple[str, Json]
TEXT = {"token", "reasoning"}


class Native:
    """Reads the chunks of one answer and keeps its content."""

    def __init__(self, before: str = "") -> None:
        self.tool_calls: list[Json] = []
        self.citations: list[Json] = []
        self.usage: Json | None = None
        self.finish_reason: str | None = None
        self._stream = sse.Events()
        self._text = [before] if before else []
        self._reasoning: list[str] = []
        self._numbers: dict[str, int] = {}  # of the cited addresses
        self._parts = Parts(before)

    @property
    def parts(self) -> list[Json]:
        """The answer as ordered parts, if that says more than its text, reasoning and tool calls."""
        return self._parts.all

    @property
    def response(self) -> str:
        return _joined(self._text)

    @property
    def reasoning(self) -> str:
        return _joined(self._reasoning)

    def feed(self, frames: bytes) -> list[Event]:
        """The events of one network block. Consecutive text becomes one event. Raises Malformed for broken JSON."""
        chunks = (_parsed(event.data) for event in self._stream.feed(frames) if event.data[:1] == b"{")
        return list(_coalesced(event for chunk in chunks for event in self._read(chunk)))

    def _read(self, chunk: Json) -> Iterator[Event]:
        for choice in _objects(chunk.get("choices")):
            if choice.get("index", 0) == 0:
                self.finish_reason = choice.get("finish_reason") or self.finish_reason
                yield from self._noted(self._delta(_object(choice.get("delta"))))
        yield from self._cited(_from_lists(chunk))
        if usage := _object(chunk.get("usage")):
            self.usage = usage
            yield "usage", usage

    def _noted(self, events: Iterable[Event]) -> Iterator[Event]:
        for name, data in events:
            self._parts.take(name, data)
            yield name, data

    def _delta(self, delta: Json) -> Iterator[Event]:
        yield from _piece("reasoning", delta.get("reasoning_content") or delta.get("reasoning"), self._reasoning)
        # A refusal is shown in place of the answer.
        yield from _piece("token", _content_text(delta.get("content")) or delta.get("refusal"), self._text)
        for url, extra in images(delta):
            yield from self._parts.image(url, extra)
        if sound := _object(delta.get("audio")):
            yield from self._parts.audio(_string(sound.get("data")), _string(sound.get("transcript")))
        for call in _objects(delta.get("tool_calls")):
            yield "tool_call", self._called(call)
        yield from self._cited(_from_annotations(delta))

    def _called(self, call: Json) -> Json:
        function = _object(call.get("function"))
        index = call.get("index")
        index = index if isinstance(index, int) else max(len(self.tool_calls) - 1, 0)
        piece = {"index": index, "arguments": function.get("arguments") or ""}
        known = next((one for one in self.tool_calls if one["index"] == index), None)
        if known is None:
            piece |= {"id": call.get("id"), "name": function.get("name")}
            self.tool_calls.append(dict(piece))
        else:
            known["arguments"] += piece["arguments"]
        return piece

    def _cited(self, sources: Iterable[Json]) -> Iterator[Event]:
        """Providers repeat sources with every chunk and in two forms: each is sent once, with the number of its URL."""
        for source in sources:
            number = self._numbers.setdefault(source["url"], len(self._numbers) + 1)
            citation = {"index": number, **source}
            same = [one for one in self.citations if one["index"] == number]
            for one in same:
                one["title"] = one["title"] or citation["title"]
            if not any(citation["start"] in (None, one["start"]) for one in same):
                self.citations.append(citation)
                yield "citation", dict(citation)


def images(delta: Json) -> Iterator[tuple[str, Json]]:
    """The URLs of generated images, from any form: OpenRouter's `images`, parts of a content, bare base64.

    Each with its `extra_content`: what its provider wants back with it, such as Gemini's signature.
    """
    parts = [one for one in _objects(delta.get("content")) if one.get("type") in ("image_url", "image", "output_image")]
    pictures = delta.get("images")
    for one in (*parts, *(pictures if isinstance(pictures, list) else ())):
        if url := _address(one):
            yield url, _object(_object(one).get("extra_content"))


def _address(image: object) -> str:
    if isinstance(image, str):
        return image
    image_object = _object(image)
    if isinstance(image_object.get("b64_json"), str):
        return f"data:image/{_format(image_object['b64_json'])};base64,{image_object['b64_json']}"
    within = image_object.get("image_url")
    return _string(_object(within).get("url")) or _string(within) or _string(image_object.get("url"))


def _format(data: str) -> str:
    """The image format from the first characters of the base64; PNG if it is unknown."""
    return next((kind for begin, kind in _BEGINNINGS if data.startswith(begin)), "png")


_BEGINNINGS = (("/9j/", "jpeg"), ("UklGR", "webp"), ("R0lGOD", "gif"))


def _content_text(content: object) -> str:
    """The text of a content, also of a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(_string(part.get("text")) for part in _objects(content) if part.get("type") == "text")


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _parsed(data: bytes) -> Json:
    try:
        return _object(orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise Malformed("The provider sent a chunk that is not JSON.") from error


def _coalesced(events: Iterable[Event]) -> Iterator[Event]:
    for name, run in groupby(events, key=lambda event: event[0]):
        if name in TEXT:
            yield name, {"t": "".join(data["t"] for _, data in run)}
        else:
            yield from run


def _piece(name: str, text: object, into: list[str]) -> Iterator[Event]:
    if isinstance(text, str) and text:
        into.append(text)
        yield name, {"t": text}


def _from_annotations(delta: Json) -> Iterator[Json]:
    """OpenAI's `url_citation` annotations with their positions in the text."""
    for annotation in _objects(delta.get("annotations")):
        cited = _object(annotation.get("url_citation"))
        if isinstance(cited.get("url"), str):
            yield _source(cited, cited.get("start_index"), cited.get("end_index"))


def _from_lists(chunk: Json) -> Iterator[Json]:
    """Perplexity's lists for the whole answer. `[1]` in the text is the position in them, so the order is kept."""
    found = [one for one in _objects(chunk.get("search_results")) if isinstance(one.get("url"), str)]
    titles = {one["url"]: one for one in found}
    addresses = [url for url in chunk.get("citations") or () if isinstance(url, str)] or list(titles)
    for url in addresses:
        yield _source(titles.get(url, {"url": url}), None, None)


def _source(cited: Json, start: Any, end: Any) -> Json:
    return {"url": cited["url"], "title": cited.get("title") or None, "start": start, "end": end}


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _joined(pieces: list[str]) -> str:
    """The text so far. The pieces are replaced by it, so that repeated calls are cheap."""
    pieces[:] = ["".join(pieces)]
    return pieces[0]
