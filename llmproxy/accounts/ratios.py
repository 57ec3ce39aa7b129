"""Bytes per token of each model, learned from answers whose tokens the provider counted."""

from __future__ import annotations

from collections import OrderedDict, deque

UNKNOWN = 2.0  # bytes of a token, where nothing is known: fewer than any text has, so that too much is held rather than too little
_KEPT = 200
_ENOUGH = 5
_MODELS = 500


class Ratios:
    """The cautious end of what was seen: few bytes a token, many tokens a byte."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def learn(self, kind: str, model: str, count: int, tokens: int) -> None:
        """`count` bytes were so many tokens. kind: in or out."""
        if count < 64 or tokens < 16:  # too short to say anything
            return
        name = f"{kind} {model}"
        seen = self._seen.get(name)
        if seen is None:
            seen = self._seen[name] = deque(maxlen=_KEPT)
            if len(self._seen) > _MODELS:
                self._seen.popitem(last=False)
        seen.append(count / tokens)

    def bytes_per_token(self, kind: str, model: str) -> float:
        """The 1st percentile; of few answers, as much of the way to it as there are of those that are enough."""
        seen = self._seen.get(f"{kind} {model}")
        if seen is None:
            return UNKNOWN
        found = max(0.5, sorted(seen)[len(seen) // 100])
        return found if found < UNKNOWN else UNKNOWN + (found - UNKNOWN) * min(1.0, len(seen) / _ENOUGH)
