"""Translates OpenAI's `url_citation` annotations to Gemini's grounding metadata: sources, and the parts of the text
that they support.
"""

from __future__ import annotations

from typing import Any

from llmproxy.core.chat import Json

from .fields import an_object


def grounding_metadata(text: str, annotations: list[Any]) -> Json:
    """OpenAI's offsets are characters, Google's are bytes of UTF-8. Empty if nothing is cited."""
    sources: dict[str, Json] = {}
    supports: list[Json] = []
    for annotation in annotations:
        cited = an_object(an_object(annotation).get("url_citation"))
        url = cited.get("url")
        if not isinstance(url, str) or not url:
            continue
        title = cited.get("title")
        sources.setdefault(url, {"web": {"uri": url, **({"title": title} if isinstance(title, str) and title else {})}})
        start, end = cited.get("start_index"), cited.get("end_index")
        if isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text):
            segment = {"startIndex": _bytes(text[:start]), "endIndex": _bytes(text[:end]), "text": text[start:end]}
            supports.append({"segment": segment, "groundingChunkIndices": [list(sources).index(url)]})
    if not sources:
        return {}
    return {"groundingChunks": list(sources.values()), **({"groundingSupports": supports} if supports else {})}


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
