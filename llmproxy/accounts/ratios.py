"""Bytes per token of each model, learned from answers whose tokens the provider counted."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from llmproxy.store.token_ratios import Learned

Kind = Literal["in", "out"]
CAUTIOUS = 2.0  # bytes per token if nothing is known: fewer than most texts have, so that rather too much money is held
LIKELY = 4.0  # bytes per token of English text
_ENOUGH = 5  # answers after which a model counts as known
_KEPT = 1000  # answers that weigh as much as all earlier ones
_MODELS = 500
_STEP = math.log(1.02)  # width of a bucket: a value is at most 2 % too low
_LOWEST = 0.5


class Ratio(NamedTuple):
    """Bytes per token. cautious: decides how much money is held, while there is enough. likely: decides what is refused.
    Both are the same if the model is known."""

    cautious: float
    likely: float


UNKNOWN = Ratio(CAUTIOUS, LIKELY)


@dataclass(slots=True)
class _Seen:
    """Number of answers by bucket. low: the 1st percentile, in bytes per token."""

    counts: Counter[int] = field(default_factory=Counter)
    total: int = 0
    low: float = CAUTIOUS

    def add(self, bucket: int, answers: int) -> None:
        self.counts[bucket] += answers
        self.total += answers
        if self.total > 2 * _KEPT:
            self.counts = Counter({one: half for one, count in self.counts.items() if (half := count // 2)})
            self.total = sum(self.counts.values())
        self.low = self.percentile(1)

    def percentile(self, percent: int) -> float:
        """In bytes per token: the lower end of its bucket."""
        place = self.total * percent // 100
        for one in sorted(self.counts):
            place -= self.counts[one]
            if place < 0:
                return max(_LOWEST, math.exp(one * _STEP))
        return self.low

    def after(self, before: Ratio) -> Ratio:
        """The estimate with these answers, if it was `before` without them. Of a few answers, the lowest value counts."""
        share = min(1.0, self.total / _ENOUGH)
        cautious = self.low if self.low < before.cautious else before.cautious + (self.low - before.cautious) * share
        return Ratio(cautious, self.low)


class Ratios:
    """Bytes per token that were seen, by model and by provider.

    A model without answers is expected to be like the others of its provider. fresh: what was learned since it was last
    stored.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[Kind, str], _Seen] = OrderedDict()  # by provider/model, and by provider
        self.fresh: Counter[tuple[Kind, str, int]] = Counter()

    def learn(self, kind: Kind, model: str, count: int, tokens: int) -> None:
        """Adds one answer: `count` bytes were `tokens` tokens. model: provider/model."""
        if count < 64 or tokens < 16:  # too short to be typical
            return
        bucket = math.floor(math.log(count / tokens) / _STEP)
        self.fresh[kind, model, bucket] += 1
        self._add(kind, model, bucket, 1)

    def remember(self, rows: Iterable[Learned]) -> None:
        """Adds what this process or another one has stored."""
        for kind, model, bucket, answers in rows:
            self._add(kind, model, bucket, min(answers, _KEPT))

    def usual(self, kind: Kind, model: str) -> float:
        """The median of the model, or else of its provider, or else of English text."""
        for name in (model, model.partition("/")[0]):
            seen = self._seen.get((kind, name))
            if seen is not None and seen.total >= _ENOUGH:
                return seen.percentile(50)
        return LIKELY

    def of(self, kind: Kind, model: str) -> Ratio:
        """The estimate for a running answer."""
        seen = self._seen.get((kind, model))
        if seen is not None and seen.total >= _ENOUGH:
            return Ratio(seen.low, seen.low)
        family = self._seen.get((kind, model.partition("/")[0]))
        before = family.after(UNKNOWN) if family is not None else UNKNOWN
        return seen.after(before) if seen is not None else before

    def _add(self, kind: Kind, model: str, bucket: int, answers: int) -> None:
        for name in (model, model.partition("/")[0]):
            seen = self._seen.get((kind, name))
            if seen is None:
                seen = self._seen[kind, name] = _Seen()
                if len(self._seen) > _MODELS:
                    self._seen.popitem(last=False)
            seen.add(bucket, answers)
