"""OpenAI: its answers already have the form that clients expect, so they are passed through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from llmproxy.adapter_kit import Chat, Environment, Face, Hint, OpenAICompatible


class OpenAI(OpenAICompatible):
    speaks = OpenAICompatible.speaks | {"responses", "compact"}
    keeps_responses = True
    counts: ClassVar[Mapping[Face, str]] = {"responses": "/responses/input_tokens"}
    hides = ("reasoning_details", "reasoning_content", "extra_content")
    hint = Hint("prompt_cache_key", faces=frozenset(("chat", "responses")))
    inputs_at_once = 2048  # texts of one embeddings request
    environment = Environment(
        keys=("OPENAI_API_KEY",),
        base_urls=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        base_url="https://api.openai.com/v1",
    )

    def headers(self) -> Mapping[str, str]:
        named = {"OpenAI-Organization": "organization", "OpenAI-Project": "project"}
        options = self.account.options
        return {**super().headers(), **{header: str(options[key]) for header, key in named.items() if options.get(key)}}

    def adapt(self, chat: Chat) -> Chat:
        """Removes what clients of other dialects send by default (Gemini CLI does) and OpenAI refuses."""
        return chat.drop("top_k") if chat.encoder is not None else chat
