"""Histograms of durations and tokens, with the names and buckets of OpenTelemetry's GenAI conventions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from llmproxy.core.chat import Json
from llmproxy.core.record import AttemptRecord, RequestRecord
from llmproxy.core.usage import DOLLAR, Tokens

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_EACH = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TOKENS = tuple(float(4**power) for power in range(14))
_STOP = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_SERIES = 500  # label sets of one metric; clients can invent model names
_MODEL = ("gen_ai_provider_name", "gen_ai_request_model", "gen_ai_operation_name")
_OPERATIONS = {"completions": "text_completion", "embeddings": "embeddings", "gemini": "generate_content"}


class Kind(NamedTuple):
    """One metric: its OpenTelemetry name, its description, its labels, and the upper bounds of its buckets."""

    otel: str
    text: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]


HISTOGRAMS = {
    "gen_ai_client_operation_duration_seconds": Kind(
        "gen_ai.client.operation.duration", "Time of one call of a provider.", (*_MODEL, "error_type"), _SECONDS
    ),
    "gen_ai_client_operation_time_to_first_chunk_seconds": Kind(
        "gen_ai.client.operation.time_to_first_chunk",
        "Time from a call of a provider to the first content chunk.",
        _MODEL,
        _FIRST,
    ),
    "gen_ai_client_token_usage": Kind(
        "gen_ai.client.token.usage", "Tokens of one call.", (*_MODEL, "gen_ai_token_type"), _TOKENS
    ),
    "gen_ai_server_request_duration_seconds": Kind(
        "gen_ai.server.request.duration",
        "Time of a request, from its arrival to its end.",
        (*_MODEL, "error_type"),
        _SECONDS,
    ),
    "gen_ai_server_time_to_first_token_seconds": Kind(
        "gen_ai.server.time_to_first_token", "Time from a request's arrival to the first content chunk.", _MODEL, _FIRST
    ),
    "gen_ai_server_time_per_output_token_seconds": Kind(
        "gen_ai.server.time_per_output_token", "Time between two tokens, on average of a stream.", _MODEL, _EACH
    ),
    "llmproxy_stop_to_closed_seconds": Kind(
        "llmproxy.stop_to_closed", "Time from a stop until the provider's connection was closed.", ("by",), _STOP
    ),
    "llmproxy_queue_wait_seconds": Kind(
        "llmproxy.queue_wait", "Time that requests waited for their turn with a provider.", ("provider",), _FIRST
    ),
}
COUNTERS = {
    "llmproxy_tokens": ("Tokens by class, of all attempts.", ("provider", "model", "class")),
    "llmproxy_cost_dollars": ("Cost of attempts, if known.", ("provider", "model")),
    "llmproxy_unpriced_requests": ("Requests of which some tokens have no known price.", ("provider", "model")),
    "llmproxy_errors": ("Requests that failed or were stopped, by the error's code.", ("code",)),
    "llmproxy_shared_answers": ("Requests that share answers, by where theirs came from.", ("cache",)),
    "llmproxy_attempts": ("Calls of providers, by how they ended.", ("provider", "state")),
}


Seen = tuple[str, tuple[str, ...], float]  # a metric, labels, and the value to observe or to add


@dataclass(slots=True)
class Series:
    """One histogram with one set of labels. counts: of each bucket separately; the last one is above all bounds."""

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
        name_of_operation = operation(record.face)
        model = (record.provider or "", record.provider_model or "", name_of_operation)
        error = error_type(record)
        seen: list[Seen] = []
        counted: list[Seen] = []
        if record.duration_ms is not None:
            seen += (("gen_ai_server_request_duration_seconds", (*model, error), record.duration_ms / 1000),)
        if record.ttft_ms is not None:
            seen += (("gen_ai_server_time_to_first_token_seconds", model, record.ttft_ms / 1000),)
        if record.tokens_per_second:
            seen += (("gen_ai_server_time_per_output_token_seconds", model, 1 / record.tokens_per_second),)
        if record.stopped_by is not None and record.closed_ms is not None:
            seen += (("llmproxy_stop_to_closed_seconds", (record.stopped_by,), record.closed_ms / 1000),)
        if record.queue_ms:
            seen += (("llmproxy_queue_wait_seconds", model[:1], record.queue_ms / 1000),)
        if error:
            counted += (("llmproxy_errors", (error,), 1),)
        if record.cache:
            counted += (("llmproxy_shared_answers", (record.cache,), 1),)
        unpriced = False
        for one in record.tries:
            _see_attempt(one, name_of_operation, seen, counted)
            unpriced = unpriced or one.is_unpriced
        if unpriced:
            counted += (("llmproxy_unpriced_requests", model[:2], 1),)
        self.observe(seen)
        self._count(counted)

    def observe(self, seen: Iterable[Seen]) -> None:
        """Adds values to histograms."""
        for name, labels, value in seen:
            known = self.histograms[name]
            series = known[labels] if labels in known else self._series(name, labels)
            series.counts[bisect_left(HISTOGRAMS[name].buckets, value)] += 1
            series.sum += value

    def _series(self, name: str, labels: tuple[str, ...]) -> Series:
        """A new one; the common one if there are too many."""
        known = self.histograms[name]
        return known.setdefault(_bounded(labels, len(known)), Series([0] * (len(HISTOGRAMS[name].buckets) + 1)))

    def _count(self, counted: Iterable[Seen]) -> None:
        for name, labels, amount in counted:
            known = self.counters[name]
            label = labels if labels in known else _bounded(labels, len(known))
            known[label] = known[label] + amount if label in known else amount

    def as_json(self) -> Json:
        """In a form that can be summed over processes."""
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


def error_type(record: RequestRecord) -> str:
    """The kind of failure of a request, in one word; empty if it did not fail."""
    return record.code or (str(record.status) if (record.status or 200) >= 400 else "")


def attempt_error_type(record: AttemptRecord) -> str:
    """The kind of failure of an attempt; `_OTHER`, by the conventions, if its provider gave no code."""
    return record.code or ("_OTHER" if record.state == "failed" else "")


def operation(face: str) -> str:
    """The conventions' name for a request of a dialect."""
    return _OPERATIONS.get(face, "chat")


def _see_attempt(one: AttemptRecord, name_of_operation: str, seen: list[Seen], counted: list[Seen]) -> None:
    call = (one.provider, one.model, name_of_operation)
    if one.duration_ms is not None:
        labels = (*call, attempt_error_type(one))
        seen += (("gen_ai_client_operation_duration_seconds", labels, one.duration_ms / 1000),)
    if one.ttft_ms is not None:
        seen += (("gen_ai_client_operation_time_to_first_chunk_seconds", call, one.ttft_ms / 1000),)
    counted += (("llmproxy_attempts", (one.provider, one.state), 1),)
    if one.cost_e12:
        counted += (("llmproxy_cost_dollars", call[:2], one.cost_e12 / DOLLAR),)
    if (tokens := one.tokens) is not None:
        for name, count in zip(Tokens._fields, tokens, strict=True):
            if count:
                counted += (("llmproxy_tokens", (*call[:2], name), count),)
        seen += (
            ("gen_ai_client_token_usage", (*call, "input"), tokens.prompt),
            ("gen_ai_client_token_usage", (*call, "output"), tokens.completion),
        )


def _bounded(labels: tuple[str, ...], known: int) -> tuple[str, ...]:
    """If there are too many label sets, the model becomes one common value."""
    return labels if known < _SERIES or len(labels) < 2 else (labels[0], "other", *labels[2:])
