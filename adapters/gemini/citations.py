"""Where Gemini says its answer comes from, as OpenAI's `url_citation` annotations with character offsets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from llmproxy.adapter_kit import Json

from .json_types import an_object, number, objects
from .json_types import text as words


class Text:
    """The text of one candidate: as Gemini counts it, in bytes, and as the client sees it, in characters.

    The two differ by what is shown between, the code that ran and its output, which Gemini does not count.
    """

    def __init__(self) -> None:
        self._pieces: list[tuple[bool, str]] = []  # whether Gemini counts it

    def add(self, text: str, *, counted: bool = True) -> None:
        if text:
            self._pieces.append((counted, text))

    @property
    def at_line_start(self) -> bool:
        return not self._pieces or self._pieces[-1][1].endswith("\n")

    def __len__(self) -> int:
        return sum(len(text) for _, text in self._pieces)

    def place(self, start: int, end: int, quoted: str = "") -> tuple[int, int]:
        """Character offsets in the shown text for byte offsets in Gemini's.

        `quoted` is what Gemini says stands there. Offsets that count from the beginning of some part, not of the whole,
        do not fit it; then the quotation itself is looked for.
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
    """Each source once for each place that rests on it. Sources without any place stand for the whole answer."""
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
    """The source inside of a grounding chunk, whatever its kind: web, maps, retrievedContext."""
    return next((source for source in chunk.values() if isinstance(source, dict)), {})


def _range(segment: Json) -> tuple[int, int]:
    """In bytes; a beginning that is absent is the very beginning."""
    return number(segment.get("startIndex")), number(segment.get("endIndex"))
