"""Token usage of one answer as the provider counted it, in disjoint classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Json = dict[str, Any]

DOLLAR = 10**12  # money is an integer in this fraction of a dollar
_TICKS = 100  # xAI counts money in 1e-10 dollars
# What is counted in the usage object of Chat Completions, and in its two lists of details.
_TOP = (
    "prompt_tokens", "completion_tokens", "total_tokens", "num_search_queries", "num_server_side_tools_used", "reasoning_tokens",
)  # fmt: skip
_INTO = ("cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens")
_OUT = ("reasoning_tokens", "audio_tokens", "image_tokens")

UsageSource = Literal["provider", "estimated", "none", "cache"]


class Tokens(NamedTuple):
    """Disjoint counts: each token is in exactly one, except `reasoning`, which is the part of `output` that was
    reasoning.

    input: prompt tokens that are in no other class. output: text, reasoning and tool calls. calls: searches and other
    tools that the provider ran and bills by number.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    audio_in: int = 0
    audio_out: int = 0
    image_in: int = 0
    image_out: int = 0
    calls: int = 0

    @property
    def prompt(self) -> int:
        """All prompt tokens."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h + self.audio_in + self.image_in

    @property
    def completion(self) -> int:
        """All output tokens."""
        return self.output + self.audio_out + self.image_out

    def plus(self, other: Tokens) -> Tokens:
        return Tokens._make(map(int.__add__, self, other))


@dataclass(slots=True)
class Usage:
    """Usage as the provider counted it. `raw` is its own usage object, with all members.

    prompt, completion, reasoning, cached: in OpenAI's sense, where cached is a part of prompt and reasoning a part of
    completion. cost: dollars, if the provider reports them. classes: see `tokens`.
    """

    prompt: int = 0
    completion: int = 0
    reasoning: int = 0
    cached: int = 0
    cost: float | None = None
    raw: Json = field(default_factory=dict)
    classes: Tokens | None = field(default=None, compare=False)

    @property
    def tokens(self) -> Tokens:
        """The same counts in disjoint classes, which are the basis of billing; computed at the first use."""
        if self.classes is None:
            cached = min(self.cached, self.prompt)
            self.classes = Tokens(self.prompt - cached, cached, output=self.completion, reasoning=self.reasoning)
        return self.classes

    @classmethod
    def parse(cls, raw: Json) -> Usage:
        """Reads the usage object of Chat Completions; members that are missing or of the wrong type count as zero."""
        prompt, completion, total, searches, tools, reasoning_at_top = _counts(raw, _TOP)
        into = _counts(raw.get("prompt_tokens_details"), _INTO)
        reasoning, *others = _counts(raw.get("completion_tokens_details"), _OUT)
        beside, reasoning = _beside(prompt, completion, reasoning or reasoning_at_top, total)
        plain, cache_read, cache_write, audio_in, image_in = _parts(prompt, into) if any(into) else (prompt, 0, 0, 0, 0)
        output = completion + beside
        output, audio_out, image_out = _parts(output, others) if any(others) else (output, 0, 0)
        tokens = Tokens(
            plain, cache_read, cache_write, 0, output, reasoning if reasoning < output else output,
            audio_in, audio_out, image_in, image_out, searches or tools,
        )  # fmt: skip
        return cls(prompt, completion, reasoning, into[0], _cost(raw), raw, tokens)

    @classmethod
    def of_responses(cls, raw: Json) -> Usage:
        """Reads the usage object of the Responses API: the same structure with other names."""
        renamed = {
            "prompt_tokens": raw.get("input_tokens"),
            "completion_tokens": raw.get("output_tokens"),
            "prompt_tokens_details": raw.get("input_tokens_details"),
            "completion_tokens_details": raw.get("output_tokens_details"),
        }
        usage = cls.parse({**raw, **renamed})
        usage.classes = usage.tokens
        usage.raw = raw
        return usage

    @classmethod
    def of_messages(cls, raw: Json) -> Usage:
        """Reads the usage object of Anthropic's Messages: cached tokens are not part of the input, reasoning is part
        of the output.

        The totals at the top do not include compaction and advisor calls; those are billed, and are listed in
        `iterations`.
        """
        runs = raw.get("iterations")
        tokens = _of_message(raw)
        for one in runs if isinstance(runs, list) else ():
            if isinstance(one, dict) and one.get("type") != "message":
                tokens = tokens.plus(_of_message(one))
        usage = cls(
            prompt=tokens.prompt,
            completion=tokens.completion,
            reasoning=tokens.reasoning,
            cached=tokens.cache_read,
            raw=raw,
            classes=tokens,
        )
        usage.cost = _cost(raw)
        return usage

    def plus(self, other: Usage) -> Usage:
        """The sum of two usages."""
        known = [one for one in (self.cost, other.cost) if one is not None]
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.reasoning + other.reasoning,
            self.cached + other.cached,
            sum(known) if len(known) == 2 else None,
            summed(self.raw, other.raw),
            self.tokens.plus(other.tokens),
        )


def in_e12(dollars: float) -> int:
    """Dollars as an integer in 1e-12 dollars."""
    return round(dollars * DOLLAR)


def _of_message(raw: Json) -> Tokens:
    created = _object(raw.get("cache_creation"))
    hour = _count(created.get("ephemeral_1h_input_tokens"))
    written = _count(created.get("ephemeral_5m_input_tokens")) + hour or _count(raw.get("cache_creation_input_tokens"))
    output = _count(raw.get("output_tokens"))
    tools = _object(raw.get("server_tool_use"))
    return Tokens(
        input=_count(raw.get("input_tokens")),
        cache_read=_count(raw.get("cache_read_input_tokens")),
        cache_write_5m=written - hour,
        cache_write_1h=hour,
        output=output,
        reasoning=min(output, _count(_object(raw.get("output_tokens_details")).get("thinking_tokens"))),
        calls=_count(tools.get("web_search_requests")),
    )


def _beside(prompt: int, completion: int, reasoning: int, total: int) -> tuple[int, int]:
    """Output tokens that `completion` does not include, and the reasoning tokens.

    OpenAI's completion includes reasoning. xAI's and that of Google's compatible endpoint do not; only the total
    includes it (recorded). If there is more reasoning than completion, it is not included either (Perplexity's deep
    research).
    """
    missing = total - prompt - completion
    if missing > 0 and reasoning in (0, missing):
        return missing, missing
    return (reasoning, reasoning) if reasoning > completion else (0, reasoning)


def _parts(whole: int, parts: list[int]) -> tuple[int, ...]:
    """Limits each part to what the whole has left after the parts before it. Returns the rest and the parts."""
    taken: tuple[int, ...] = ()
    for part in parts:
        taken = (*taken, part if part < whole else whole)
        whole -= taken[-1]
    return whole, *taken


def _cost(raw: Json) -> float | None:
    """Dollars, if the provider reports them."""
    if "cost" not in raw and "cost_in_usd_ticks" not in raw:
        return None
    cost = raw.get("cost")
    if isinstance(cost, dict):  # Perplexity: an object with several costs
        cost = cost.get("total_cost")
    if cost is None:
        ticks = raw.get("cost_in_usd_ticks")  # xAI
        return ticks * _TICKS / DOLLAR if type(ticks) is int else None
    if not isinstance(cost, (int, float)) or isinstance(cost, bool):
        return None
    if raw.get("is_byok") is True:  # OpenRouter's own fee: the provider bills the user directly
        behind = _object(raw.get("cost_details")).get("upstream_inference_cost")
        return cost + behind if isinstance(behind, (int, float)) else None
    return cost


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _counts(members: object, names: tuple[str, ...]) -> list[int]:
    """As `_count`, of some members of what should be an object."""
    counts = [0] * len(names)
    if type(members) is dict:
        for at, name in enumerate(names):
            if name in members and type(value := members[name]) is int and value > 0:
                counts[at] = value
    return counts


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def summed(one: Json, other: Json) -> Json:
    """Two usage objects as one: numbers are added, also in nested objects."""
    result = dict(one)
    for key, value in other.items():
        mine = one.get(key)
        if isinstance(value, dict) and isinstance(mine, dict):
            result[key] = summed(mine, value)
        elif isinstance(value, (int, float)) and isinstance(mine, (int, float)) and not isinstance(value, bool):
            result[key] = mine + value
        else:
            result[key] = value if mine is None else mine
    return result
