"""Normalises reasoning to one field name."""

from __future__ import annotations

from collections.abc import Iterable

from llmproxy.core.chat import Json

from .deltas import deltas, same, with_delta

# Copilot, Anthropic's kin, and servers of one's own. Those stay beside, as a client may have to send them back.
_BESIDE = ("reasoning_text", "thinking", "thinking_content", "thoughts", "thought")
OTHER_NAMES = frozenset(("reasoning", "reasoning_details", *_BESIDE))


class Reasoning:
    """Reasoning under one name: `reasoning_content`, as in DeepSeek, vLLM and llama.cpp.

    OpenRouter and Ollama call it `reasoning`. If there are `reasoning_details`, which the client must send back in the next
    turn, `reasoning` is kept too.
    """

    def feed(self, chunk: Json) -> Iterable[Json]:
        for choice, delta in deltas(chunk):
            if not OTHER_NAMES.isdisjoint(delta):
                chunk = with_delta(chunk, same(chunk, choice), _one_name(delta))
        return (chunk,)

    def finish(self) -> Iterable[Json]:
        return ()


def _one_name(delta: Json) -> Json:
    delta = dict(delta)
    details = delta.get("reasoning_details")
    named = (value for key in _BESIDE if isinstance(value := delta.get(key), str))
    reasoning = delta.get("reasoning") or _detailed(details) or next(named, "")
    if isinstance(reasoning, str) and reasoning and not delta.get("reasoning_content"):
        delta["reasoning_content"] = reasoning
    if not details:
        delta.pop("reasoning", None)
    return delta


def _detailed(details: object) -> str:
    """The text of reasoning that comes only in details, as OpenRouter sends it for some models without streaming (recorded)."""
    parts = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return "".join(text for one in parts if isinstance(text := one.get("text") or one.get("summary"), str))
