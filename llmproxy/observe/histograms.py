"""Distributions of what requests took and used, under the names and with the buckets of OpenTelemetry's GenAI conventions."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import NamedTuple

from llmproxy.core.chat import Json
from llmproxy.core.record import RequestRecord
from llmproxy.core.usage import DOLLAR, Tokens

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_EACH = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TOKENS = tuple(float(4**power) for power in range(14))
_STOP = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_SERIES = 500  # labels of one metric; clients may make up models' names
_MODEL = ("gen_ai_provider_name", "gen_ai_request_model")


class Kind(NamedTuple):
    """One metric: what it is, its labels, and the upper ends of its buckets."""

    text: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]


HISTOGRAMS = {
    "gen_ai_client_operation_duration_seconds": Kind(
        "Time of one call of a provider.", (*_MODEL, "error_type"), _SECONDS
    ),
    "gen_ai_client_operation_time_to_first_chunk_seconds": Kind(
        "Time from a call of a provider to the first real frame.", _MODEL, _FIRST
    ),
    "gen_ai_client_token_usage": Kind("Tokens of one call.", (*_MODEL, "gen_ai_token_type"), _TOKENS),
    "gen_ai_server_request_duration_seconds": Kind(
        "Time of a request, from its arrival to its end.", (*_MODEL, "error_type"), _SECONDS
    ),
    "gen_ai_server_time_to_first_token_seconds": Kind(
        "Time from a request's arrival to the first real frame.", _MODEL, _FIRST
    ),
    "gen_ai_server_time_per_output_token_seconds": Kind(
        "Time between two tokens, on average of a stream.", _MODEL, _EACH
    ),
    "llmproxy_stop_to_closed_seconds": Kind("Time from a stop until the provider was hung up on.", ("by",), _STOP),
    "llmproxy_queue_wait_seconds": Kind(
        "Time that requests waited for their turn with a provider.", ("provider",), _FIRST
    ),
}
COUNTERS = {
    "llmproxy_tokens": ("Tokens by class, over all attempts.", ("provider", "model", "class")),
    "llmproxy_cost_dollars": ("What attempts cost, as far as it is known.", ("provider", "model")),
    "llmproxy_unpriced_requests": ("Requests of which some tokens have no known price.", ("provider", "model")),
    "llmproxy_errors": ("Requests that failed or were stopped, by the error's code.", ("code",)),
    "llmproxy_shared_answers": ("Requests that share answers, by where theirs came from.", ("cache",)),
    "llmproxy_attempts": ("Calls of providers, by how they ended.", ("provider", "state")),
}


@dataclass(slots=True)
class Series:
    """One histogram with one set of labels. counts: of each bucket by itself, the last one is beyond all ends."""

    counts: list[int]
    sum: float = 0.0


@dataclass(slots=True)
class Distributions:
    """All histograms and counters by their labels."""

    histograms: dict[str, dict[tuple[str, ...], Series]] = field(
        default_factory=lambda: {name: {} for name in HISTOGRAMS}
    )
    counters: dict[str, dict[tuple[str, ...], float]] = field(default_factory=lambda: {name: {} for name in COUNTERS})

    def add(self, record: RequestRecord) -> None:
        model = (record.provider or "", record.provider_model or "")
        error = record.code or (str(record.status) if (record.status or 200) >= 400 else "")
        self._took("gen_ai_server_request_duration_seconds", (*model, error), record.duration_ms)
        self._took("gen_ai_server_time_to_first_token_seconds", model, record.ttft_ms)
        if record.tokens_per_second:
            self.observe("gen_ai_server_time_per_output_token_seconds", model, 1 / record.tokens_per_second)
        if record.stopped_by is not None:
            self._took("llmproxy_stop_to_closed_seconds", (record.stopped_by,), record.closed_ms)
        if record.queue_ms:
            self._took("llmproxy_queue_wait_seconds", model[:1], record.queue_ms)
        if error:
            self.count("llmproxy_errors", (error,), 1)
        if record.cache:
            self.count("llmproxy_shared_answers", (record.cache,), 1)
        unpriced = False
        for one in record.tries:
            at = (one.provider, one.model)
            self._took("gen_ai_client_operation_duration_seconds", (*at, one.code or ""), one.duration_ms)
            self._took("gen_ai_client_operation_time_to_first_chunk_seconds", at, one.ttft_ms)
            self.count("llmproxy_attempts", (one.provider, one.state), 1)
            if one.tokens is not None:
                self._tokens(at, one.tokens)
                unpriced = unpriced or (one.cost_e12 is None and any(one.tokens))
            if one.cost_e12:
                self.count("llmproxy_cost_dollars", at, one.cost_e12 / DOLLAR)
        if unpriced:
            self.count("llmproxy_unpriced_requests", model, 1)

    def _tokens(self, at: tuple[str, str], tokens: Tokens) -> None:
        for name, count in zip(Tokens._fields, tokens, strict=True):
            if count:
                self.count("llmproxy_tokens", (*at, name), count)
        self.observe("gen_ai_client_token_usage", (*at, "input"), tokens.prompt)
        self.observe("gen_ai_client_token_usage", (*at, "output"), tokens.completion)

    def _took(self, name: str, labels: tuple[str, ...], milliseconds: float | None) -> None:
        if milliseconds is not None:
            self.observe(name, labels, milliseconds / 1000)

    def observe(self, name: str, labels: tuple[str, ...], value: float) -> None:
        buckets, known = HISTOGRAMS[name].buckets, self.histograms[name]
        series = known.get(labels)
        if series is None:
            labels = _bounded(labels, len(known))
            series = known.setdefault(labels, Series([0] * (len(buckets) + 1)))
        series.counts[bisect_left(buckets, value)] += 1
        series.sum += value

    def count(self, name: str, labels: tuple[str, ...], amount: float) -> None:
        known = self.counters[name]
        if labels not in known:
            labels = _bounded(labels, len(known))
        known[labels] = known.get(labels, 0) + amount

    def told(self) -> Json:
        """In a form that can be added up over processes."""
        return {
            "histograms": {
                name: {
                    "\n".join(labels): {
                        **{str(at): one for at, one in enumerate(series.counts) if one},
                        "sum": series.sum,
                    }
                    for labels, series in known.items()
                }
                for name, known in self.histograms.items()
            },
            "counters": {
                name: {"\n".join(labels): amount for labels, amount in known.items()}
                for name, known in self.counters.items()
            },
        }


def _bounded(labels: tuple[str, ...], known: int) -> tuple[str, ...]:
    """Where there are many series already, the model is no longer told apart."""
    return labels if known < _SERIES or len(labels) < 2 else (labels[0], "other", *labels[2:])
