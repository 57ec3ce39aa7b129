"""First title of a thread: the first words of its first question."""

from __future__ import annotations

import re

from llmproxy.core.chat import Json

TITLE = 60  # characters of a question that become a title
_FILE = re.compile(r'<file name="([^"]*)">\n')  # the beginning of a text file that is part of a question


def first_words(text: str) -> str:
    """A title from a text: its first words, on one line."""
    line = re.sub(r"\s+", " ", text).strip()
    if len(line) <= TITLE:
        return line
    return line[:TITLE].rsplit(" ", 1)[0].rstrip(" ,.;:") + "…"


def named_by(content: str | list[Json]) -> str:
    """The text for a title: the question without its files, or the name of the first file."""
    if isinstance(content, str):
        return content
    texts = [part["text"] for part in content if isinstance(part.get("text"), str)]
    files = [_FILE.match(text) for text in texts]
    words = [text for text, file in zip(texts, files, strict=True) if file is None]
    return "\n".join(words) or next((file[1] for file in files if file), "")
