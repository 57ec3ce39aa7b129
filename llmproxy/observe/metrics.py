"""Totals of finished requests since the process started."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from llmproxy.core.record import RequestRecord

from .histograms import Distributions

_SERIES = 500

Label = tuple[str, str, str]  # provider, model, outcome


@dataclass(slots=True)
class Totals:
    """Totals of one model of one provider and one outcome. Times in seconds."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    first_frame_seconds: float = 0.0
    retries: int = 0

    def add(self, record: RequestRecord) -> None:
        self.requests += 1
        if record.attempts > 1:
            self.retries += record.attempts - 1
        self.tokens_in += record.tokens_in or 0
        self.tokens_out += record.tokens_out or 0
        self.seconds += (record.duration_ms or 0) / 1000
        self.first_frame_seconds += (record.ttft_ms or 0) / 1000


@dataclass(slots=True)
class Metrics:
    """Totals by label. The number of labels is limited, because clients can invent names."""

    totals: dict[Label, Totals] = field(default_factory=lambda: defaultdict(Totals))
    distributions: Distributions = field(default_factory=Distributions)

    def add(self, record: RequestRecord) -> None:
        self.distributions.add(record)
        label = (record.provider or "", record.provider_model or "", record.metric)
        if label not in self.totals and len(self.totals) >= _SERIES:
            label = (label[0], "other", label[2])
        self.totals[label].add(record)
