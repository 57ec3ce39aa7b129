"""Token usage of one answer as the provider counted it, in disjoint classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Json = dict[str, Any]

DOLLAR = 10**12  # money is a whole number of these parts of a dollar
_TICKS = 100  # xAI counts money in parts of 1e-10 dollars

UsageSource = Literal["provider", "estimated", "none", "cache"]


class Tokens(NamedTuple):
    """Counts of which each token is in exactly one, save `reasoning`, which says how much of `output` it was.

    input: what is in none of the other classes of the prompt. output: text, reasoning and tool calls. calls: searches and
    other tools that the provider ran and bills by number.
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
        """All that went in."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h + self.audio_in + self.image_in

    @property
    def completion(self) -> int:
        """All that came out."""
        return self.output + self.audio_out + self.image_out

    def plus(self, other: Tokens) -> Tokens:
        return Tokens._make(map(int.__add__, self, other))


@dataclass(slots=True)
class Usage:
    """As the provider counted. `raw` is its own usage object, further members included.

    prompt, completion, reasoning, cached: in OpenAI's sense, where cached is a part of prompt and reasoning of completion.
    cost: dollars, if the provider said them. classes: see `tokens`.
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
        """The same counts in disjoint classes, which are what is billed; made when they are first asked for."""
        if self.classes is None:
            self.classes = _of_chat(self.raw) if self.raw else self._of_counts()
        return self.classes

    def _of_counts(self) -> Tokens:
        cached = min(self.cached, self.prompt)
        return Tokens(self.prompt - cached, cached, output=self.completion, reasoning=self.reasoning)

    @classmethod
    def parse(cls, raw: Json) -> Usage:
        """Reads the usage object of Chat Completions; members that are missing or of the wrong type count as zero."""
        prompt, completion = _count(raw.get("prompt_tokens")), _count(raw.get("completion_tokens"))
        reasoning = _reasoning(raw)
        _, reasoning = _beside(prompt, completion, reasoning, _count(raw.get("total_tokens")))
        cached = _count(_object(raw.get("prompt_tokens_details")).get("cached_tokens"))
        return cls(prompt, completion, reasoning, cached, _cost(raw), raw)

    @classmethod
    def of_responses(cls, raw: Json) -> Usage:
        """Reads the usage object of the Responses API: the same nesting under other names."""
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
        """Reads the usage object of Anthropic's Messages: cached tokens stand beside the input, thoughts in the output.

        The sums at its top leave out what a compaction and an advisor took: those are billed, and stand in `iterations`.
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
        """Of two answers together."""
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
    """Dollars as the integer that money is kept in."""
    return round(dollars * DOLLAR)


def _of_chat(raw: Json) -> Tokens:
    prompt, completion = _count(raw.get("prompt_tokens")), _count(raw.get("completion_tokens"))
    into, out = _object(raw.get("prompt_tokens_details")), _object(raw.get("completion_tokens_details"))
    beside, reasoning = _beside(prompt, completion, _reasoning(raw), _count(raw.get("total_tokens")))
    plain, cache_read, cache_write, audio_in, image_in = _parts(
        prompt, _count(into.get("cached_tokens")), _count(into.get("cache_write_tokens")),
        _count(into.get("audio_tokens")), _count(into.get("image_tokens")),
    )  # fmt: skip
    output, audio_out, image_out = _parts(
        completion + beside, _count(out.get("audio_tokens")), _count(out.get("image_tokens"))
    )
    return Tokens(
        input=plain,
        cache_read=cache_read,
        cache_write_5m=cache_write,
        output=output,
        reasoning=min(reasoning, output),
        audio_in=audio_in,
        audio_out=audio_out,
        image_in=image_in,
        image_out=image_out,
        calls=_count(raw.get("num_search_queries")) or _count(raw.get("num_server_side_tools_used")),
    )


def _reasoning(raw: Json) -> int:
    details = _object(raw.get("completion_tokens_details"))
    return _count(details.get("reasoning_tokens")) or _count(raw.get("reasoning_tokens"))


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
    """Output tokens that `completion` leaves out, and the reasoning tokens.

    Inside of it at OpenAI; beside it at xAI, and at Google's compatible endpoint, where only the total knows of them
    (recorded). More reasoning than there is completion stands beside it as well (Perplexity's deep research).
    """
    missing = total - prompt - completion
    if missing > 0 and reasoning in (0, missing):
        return missing, missing
    return (reasoning, reasoning) if reasoning > completion else (0, reasoning)


def _parts(whole: int, *parts: int) -> tuple[int, ...]:
    """What is left of the whole, and its parts, none of which may be more than was left by those before it."""
    taken = []
    for part in parts:
        taken.append(min(part, whole))
        whole -= taken[-1]
    return whole, *taken


def _cost(raw: Json) -> float | None:
    """Dollars, if the provider says them."""
    cost = raw.get("cost")
    if isinstance(cost, dict):  # Perplexity: an object of costs
        cost = cost.get("total_cost")
    if cost is None and isinstance(raw.get("cost_in_usd_ticks"), int):  # xAI
        return int(raw["cost_in_usd_ticks"]) * _TICKS / DOLLAR
    if not isinstance(cost, (int, float)) or isinstance(cost, bool):
        return None
    if raw.get("is_byok") is True:  # OpenRouter's own fee: the provider behind it bills the user directly
        behind = _object(raw.get("cost_details")).get("upstream_inference_cost")
        return cost + behind if isinstance(behind, (int, float)) else None
    return cost


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def summed(one: Json, other: Json) -> Json:
    """Two usage objects as one: numbers are added, also in what is nested."""
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
