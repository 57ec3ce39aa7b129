"""Messages' names beside those of chat completions, and the abilities of its models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llmproxy.core.chat import Json

NAME = "messages"
FORMAT = "anthropic-claude-v1"  # of entries in `reasoning_details`, OpenRouter's name (recorded)
VENDOR = "anthropic"  # the member of `extra_content` with a turn's blocks

FINISHES: Mapping[str, str] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "stop_sequence": "stop",
    "refusal": "content_filter",
    "pause_turn": "stop",
    "model_context_window_exceeded": "length",
    "compaction": "stop",
}
# Stop reasons that the chat's finish reason fully expresses.
PLAIN_FINISHES = frozenset(("end_turn", "tool_use", "max_tokens"))

MESSAGES_EFFORTS = ("low", "medium", "high", "xhigh", "max")
BUDGETS: Mapping[str, int] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 32768,
}
LEAST_BUDGET = 1024

TIERS: Mapping[str, str] = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}


@dataclass(frozen=True, slots=True)
class Raw:
    """The original blocks of a chat message, with the name of their dialect (`Chat.beside`)."""

    dialect: str
    blocks: list[Json]


@dataclass(frozen=True, slots=True)
class MessagesAbilities:
    """What one family of models takes. The rest is answered with 400, so it is left out or put differently.

    thinking: the values of `thinking.type`. always_thinks: it cannot be switched off. efforts: values of
    `output_config.effort`; none where it has no such member. samplers: how many of temperature and top_p it takes at once.
    forced: `tool_choice` may be `any` or `tool`. prefill: the last message may be the assistant's. system_inside: a
    `system` message may stand among the others. structured: `output_config.format` and strict tools. shows: thoughts are
    shown only if `display` asks for them. max_output: the most that `max_tokens` may be; default_output: where the
    client names none.
    """

    thinking: tuple[str, ...] = ("adaptive",)
    always_thinks: bool = False
    efforts: tuple[str, ...] = MESSAGES_EFFORTS
    samplers: int = 0
    forced: bool = True
    prefill: bool = False
    system_inside: bool = True
    structured: bool = True
    shows: bool = True
    max_output: int = 128_000
    default_output: int = 0

    def output(self) -> int:
        return self.default_output or self.max_output

    def effort(self, effort: str) -> str | None:
        """The nearest effort that the model accepts; None if it accepts none."""
        if not self.efforts:
            return None
        at = MESSAGES_EFFORTS.index("low" if effort in ("none", "minimal") else effort) if effort in _ASKED else 2
        return min(self.efforts, key=lambda one: (abs(MESSAGES_EFFORTS.index(one) - at), -MESSAGES_EFFORTS.index(one)))


_ASKED = frozenset((*MESSAGES_EFFORTS, "none", "minimal"))


def finish_of(stop_reason: str) -> str:
    """The chat's finish reason; an unknown reason is kept, and sent as the provider's own."""
    return FINISHES.get(stop_reason, stop_reason)


def usage_of(counted: Json) -> Json:
    """OpenAI's usage: tokens read from or written to a cache are part of the prompt."""
    read, written = number(counted.get("cache_read_input_tokens")), number(counted.get("cache_creation_input_tokens"))
    prompt = number(counted.get("input_tokens")) + read + written
    completion = number(counted.get("output_tokens"))
    details = counted.get("output_tokens_details")
    thought = number(details.get("thinking_tokens")) if isinstance(details, dict) else 0
    usage: Json = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    usage["prompt_tokens_details"] = {"cached_tokens": read, "cache_write_tokens": written}
    if thought:
        usage["completion_tokens_details"] = {"reasoning_tokens": thought}
    return usage


def before_output(counted: object) -> Json:
    """The usage at the start of a stream without its output tokens: only the first ones are counted there (recorded)."""
    there = counted.items() if isinstance(counted, dict) else ()
    return {name: value for name, value in there if name not in ("output_tokens", "output_tokens_details")}


def number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
