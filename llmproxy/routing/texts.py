"""Iterates over the texts of a request, in any dialect."""

from __future__ import annotations

from collections.abc import Iterator

from llmproxy.core.chat import Chat
from llmproxy.core.errors import BadRequest
from llmproxy.core.trace import Trace


def as_openai(chat: Chat) -> Chat:
    """The request in OpenAI's chat form. A request that cannot be converted stays unchanged."""
    if chat.dialect is None:
        return chat
    try:
        return chat.dialect.as_chat(chat.traced(Trace(), chat.model))
    except BadRequest:
        return chat


def texts(content: object) -> Iterator[str]:
    """The texts in a string, a list of strings, or a list of parts."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            text = part.get("text") if isinstance(part, dict) else part
            if isinstance(text, str):
                yield text
