"""Translates Gemini's `usageMetadata` to OpenAI's `usage`, and back."""

from __future__ import annotations

from typing import Any

from llmproxy.core.chat import Json
from llmproxy.core.usage import Usage

_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}  # OpenAI's clients refuse other values
_MODALITIES = {"AUDIO": "audio_tokens", "IMAGE": "image_tokens", "TEXT": "text_tokens"}


def gemini_counts(metadata: Json) -> bool:
    """Whether it has counts: Vertex sends only `trafficType` in all events but the last."""
    return "totalTokenCount" in metadata or any(key.endswith("Count") for key in metadata)


def gemini_usage(metadata: Any) -> Json:
    """`{"usage": {...}, "service_tier": ...}` with what Gemini sent; empty without counts.

    Gemini counts thoughts beside the answer and tool use beside the prompt; OpenAI includes them. Google's JSON omits
    counts of zero, so an absent count is zero if there are other counts.
    """
    if not isinstance(metadata, dict):
        return {}
    count = {key: value for key, value in metadata.items() if isinstance(value, int) and key.endswith("Count")}
    if not count:  # Vertex sends `trafficType` alone with all but the last event
        return {}
    prompt = count.get("promptTokenCount", 0) + count.get("toolUsePromptTokenCount", 0)
    completion = count.get("candidatesTokenCount", 0) + count.get("thoughtsTokenCount", 0)
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": count.get("totalTokenCount", prompt + completion),
    }
    of_prompt = {"cached_tokens": "cachedContentTokenCount", "tool_use_tokens": "toolUsePromptTokenCount"}
    details = {
        "prompt_tokens_details": _details(count, of_prompt, metadata.get("promptTokensDetails")),
        "completion_tokens_details": _details(
            count, {"reasoning_tokens": "thoughtsTokenCount"}, metadata.get("candidatesTokensDetails")
        ),
    }
    tier = _TIERS.get(str(metadata.get("serviceTier")).lower())
    return {
        "usage": {**usage, **{key: value for key, value in details.items() if value}},
        **({"service_tier": tier} if tier else {}),
    }


def _details(count: Json, names: dict[str, str], modalities: Any) -> Json:
    details = {ours: count[theirs] for ours, theirs in names.items() if theirs in count}
    for one in modalities if isinstance(modalities, list) else ():
        kind = _MODALITIES.get(str(one.get("modality"))) if isinstance(one, dict) else None
        if kind and isinstance(one.get("tokenCount"), int):
            details[kind] = details.get(kind, 0) + one["tokenCount"]
    return details


def render_metadata(usage: Json) -> Json:
    """OpenAI's usage as `usageMetadata`: thoughts are separate from the answer, and tool use from the prompt."""
    read = Usage.parse(usage)
    into = usage.get("prompt_tokens_details")
    given = into.get("tool_use_tokens") if isinstance(into, dict) else None
    tools = min(given, read.prompt) if isinstance(given, int) and given > 0 else 0
    output = read.tokens.completion
    thoughts = min(read.reasoning, output)
    counts = {
        "promptTokenCount": read.prompt - tools,
        "cachedContentTokenCount": read.cached,
        "candidatesTokenCount": output - thoughts,
        "toolUsePromptTokenCount": tools,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": read.prompt + output,
    }
    always = ("promptTokenCount", "candidatesTokenCount", "totalTokenCount")
    return {name: count for name, count in counts.items() if count or name in always}
