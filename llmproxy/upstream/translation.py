"""The request and the translator of an attempt at a provider that does not have the client's API."""

from __future__ import annotations

from llmproxy.core.adapter import Adapter, Translator
from llmproxy.core.chat import Chat
from llmproxy.core.dialect import Forgets
from llmproxy.wire.encoded import Encoded
from llmproxy.wire.refused_thoughts import without_thoughts
from llmproxy.wire.text_completions import as_chat

from .adapter_calls import called


def translated(chat: Chat) -> Chat:
    """The request as a chat completion. Raises BadRequest."""
    return as_chat(chat) if chat.dialect is None else chat.dialect.as_chat(chat)


def without_reasoning(chat: Chat) -> Chat | None:
    """The request without the state of earlier reasoning; None if there is none, or if it cannot be left out."""
    if chat.dialect is None:
        return without_thoughts(chat) if chat.face == "chat" else None
    return chat.dialect.without_thoughts(chat) if isinstance(chat.dialect, Forgets) else None


def translator_for(adapter: Adapter, chat: Chat) -> Translator:
    """The adapter's translator; its chunks are encoded in the client's dialect if it does not do that itself."""
    translator = called(adapter.translator, chat)
    if chat.encoder is None or getattr(translator, "encodes", False):
        return translator
    return Encoded(translator, chat.encoder(), stream=chat.stream)
