"""What a provider counted for one answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from .chat import Json


@dataclass(slots=True)
class Usage:
    """Tokens as the provider counted them. `raw` is its own usage object, further members included."""

    prompt: int = 0
    completion: int = 0
    reasoning: int = 0
    cached: int = 0
    cost: float | None = None
    raw: Json = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: Json) -> Usage:
        """Reads OpenAI's usage object; members that are missing or of the wrong type count as zero."""
        details = _object(raw.get("completion_tokens_details"))
        cost = raw.get("cost")
        if isinstance(cost, dict):  # Perplexity: an object of costs
            cost = cost.get("total_cost")
        return cls(
            prompt=_count(raw.get("prompt_tokens")),
            completion=_count(raw.get("completion_tokens")),
            reasoning=_count(details.get("reasoning_tokens")) or _count(raw.get("reasoning_tokens")),
            cached=_count(_object(raw.get("prompt_tokens_details")).get("cached_tokens")),
            cost=cost if isinstance(cost, (int, float)) else None,
            raw=raw,
        )


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


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
