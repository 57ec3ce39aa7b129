"""Converts Gemini's grounding and citations to OpenAI's `url_citation` annotations with character offsets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from llmproxy.adapter_kit import Json

from .json_types import an_object, number, objects
from .json_types import text as words


class Text:
    """The text of one candidate. Maps Gemini's byte offsets to character offsets in the text that the client gets.

    The client's text also has executed code and its output, which Gemini does not count.
    """

    def __init__(self) -> None:
        self._pieces: list[tuple[bool, str]] = []  # (whether Gemini counts it, text)

    def add(self, text: str, *, counted: bool = True) -> None:
        if text:
            self._pieces.append((counted, text))

    @property
    def at_line_start(self) -> bool:
        return not self._pieces or self._pieces[-1][1].endswith("\n")

    def __len__(self) -> int:
        return sum(len(text) for _, text in self._pieces)

    def place(self, start: int, end: int, quoted: str = "") -> tuple[int, int]:
        """Character offsets in the client's text for byte offsets in Gemini's.

        quoted: the text at these offsets, according to Gemini. Some offsets count from the start of a part; then the text there
        differs, and the quotation is searched for.
        """
        shown = "".join(text for _, text in self._pieces)
        first, last = self._shown(start), self._shown(end, is_end=True)
        if quoted and shown[first:last] != quoted and (found := shown.find(quoted)) >= 0:
            return found, found + len(quoted)
        return first, max(first, last)

    def _shown(self, offset: int, is_end: bool = False) -> int:
        counted, before = 0, 0
        for is_counted, group in groupby(self._pieces, key=lambda piece: piece[0]):
            text = "".join(piece for _, piece in group)
            data = text.encode(errors="surrogatepass") if is_counted else b""
            inside = offset - counted
            if is_counted and (inside < len(data) or (is_end and inside == len(data))):
                return before + len(data[:inside].decode(errors="ignore"))
            counted, before = counted + len(data), before + len(text)
        return before


def url_citations(text: Text, grounding: Json, citations: list[Json]) -> list[Json]:
    """One annotation for each source and place. Sources without a place are for the whole answer."""
    found = [*_grounded(text, grounding), *_cited(text, citations)]
    return [one for at, one in enumerate(found) if one not in found[:at]]


def _grounded(text: Text, grounding: Json) -> Iterator[Json]:
    sources = [_source(chunk) for chunk in objects(grounding.get("groundingChunks"))]
    supports = objects(grounding.get("groundingSupports"))
    for support in supports:
        segment = an_object(support.get("segment"))
        start, end = text.place(*_range(segment), words(segment.get("text")))
        indices = support.get("groundingChunkIndices")
        for at, source in enumerate(sources):
            if isinstance(indices, list) and at in indices and source.get("uri"):
                yield _annotation(source, start, end)
    if not supports:
        yield from (_annotation(source, 0, len(text)) for source in sources if source.get("uri"))


def _cited(text: Text, citations: list[Json]) -> Iterator[Json]:
    for citation in citations:
        if citation.get("uri"):
            yield _annotation(citation, *text.place(*_range(citation)))


def _annotation(source: Json, start: int, end: int) -> Json:
    cited = {"url": words(source["uri"]), "title": words(source.get("title")), "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": cited}


def _source(chunk: Json) -> Json:
    """The source of a grounding chunk of any kind: web, maps, retrievedContext."""
    return next((source for source in chunk.values() if isinstance(source, dict)), {})


def _range(segment: Json) -> tuple[int, int]:
    """Start and end in bytes; a missing start is 0."""
    return number(segment.get("startIndex")), number(segment.get("endIndex"))
