"""Reasoning under one name, however the provider calls it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmproxy.core.chat import Json

from .deltas import deltas, same, with_delta

_OTHER_NAMES = frozenset(("reasoning", "reasoning_details"))


class Reasoning:
    """Thoughts under one name: `reasoning_content`, as DeepSeek, vLLM and llama.cpp call it.

    OpenRouter and Ollama say `reasoning`. Where `reasoning_details` come along, which the client must send back in the
    next turn, `reasoning` stays beside it. Mistral sends content as a list of parts.
    """

    def feed(self, chunk: Json) -> Iterable[Json]:
        for choice, delta in deltas(chunk):
            if not _OTHER_NAMES.isdisjoint(delta) or isinstance(delta.get("content"), list):
                chunk = with_delta(chunk, same(chunk, choice), _one_name(delta))
        return (chunk,)

    def finish(self) -> Iterable[Json]:
        return ()


def _one_name(delta: Json) -> Json:
    delta = dict(delta)
    if isinstance(delta.get("content"), list):
        text, thoughts = _parts(delta["content"])
        delta["content"] = text
        if thoughts:
            delta["reasoning_content"] = thoughts
    details = delta.get("reasoning_details")
    reasoning = delta.get("reasoning") or _detailed(details)
    if isinstance(reasoning, str) and reasoning and not delta.get("reasoning_content"):
        delta["reasoning_content"] = reasoning
    if not details:
        delta.pop("reasoning", None)
    return delta


def _detailed(details: object) -> str:
    """The text of reasoning that comes in details alone, as OpenRouter does for some models when not streamed (recorded)."""
    parts = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return "".join(text for one in parts if isinstance(text := one.get("text") or one.get("summary"), str))


def _parts(parts: list[Any]) -> tuple[str, str]:
    """Text and thoughts of content that came as a list of parts."""
    text, thoughts = [], []
    for part in parts:
        if isinstance(part, str):
            text.append(part)
        elif isinstance(part, dict) and isinstance(part.get("thinking"), list):
            thoughts.append(_parts(part["thinking"])[0])
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            text.append(part["text"])
    return "".join(text), "".join(thoughts)
