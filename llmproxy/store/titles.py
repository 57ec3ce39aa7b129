"""First title of a thread: the first words of its first question."""

from __future__ import annotations

import re

from llmproxy.core.chat import Json

TITLE = 60  # characters of a question that become a title
_FILE = re.compile(r'<file name="([^"]*)">\n')  # how a text file begins that is a part of a question


def first_words(text: str) -> str:
    """A title out of a text: its first words, in one line."""
    line = re.sub(r"\s+", " ", text).strip()
    if len(line) <= TITLE:
        return line
    return line[:TITLE].rsplit(" ", 1)[0].rstrip(" ,.;:") + "…"


def named_by(content: str | list[Json]) -> str:
    """The text of a question that a title is made of: its words without the files among them, or the first file's name."""
    if isinstance(content, str):
        return content
    texts = [part["text"] for part in content if isinstance(part.get("text"), str)]
    files = [_FILE.match(text) for text in texts]
    words = [text for text, file in zip(texts, files, strict=True) if file is None]
    return "\n".join(words) or next((file[1] for file in files if file), "")
