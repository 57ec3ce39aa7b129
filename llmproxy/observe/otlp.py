"""OTLP as JSON: spans and metrics with the names of OpenTelemetry's GenAI conventions. Pure functions; server/telemetry sends
the result.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: IDs are hex, 64-bit numbers are text, enums are numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from llmproxy import __version__
from llmproxy.core.chat import Json
from llmproxy.core.record import AttemptRecord, RequestRecord
from llmproxy.core.trace_context import Parent, TraceContext
from llmproxy.core.usage import DOLLAR, Tokens

from .histograms import COUNTERS, HISTOGRAMS, Distributions, Series, attempt_error_type, error_type, operation

SERVER, CLIENT = 2, 3  # kinds of spans
ERROR = 2  # a span's status
CUMULATIVE = 2  # temporality: since the start of the process
_SCOPE = {"name": "llmproxy", "version": __version__}
_LABELS = {
    "gen_ai_operation_name": "gen_ai.operation.name",
    "gen_ai_provider_name": "gen_ai.provider.name",
    "gen_ai_request_model": "gen_ai.request.model",
    "gen_ai_token_type": "gen_ai.token.type",
    "error_type": "error.type",
}


class Call(NamedTuple):
    """An attempt, and when it began, in Unix seconds."""

    started_at: float
    record: AttemptRecord


class Ended(NamedTuple):
    """A finished request with all data for its spans. content: attributes with its messages, if the operator wants them."""

    context: TraceContext
    record: RequestRecord
    calls: Sequence[Call]
    content: Mapping[str, str | None] = {}


def traces(resource: Mapping[str, str], ended: Iterable[Ended]) -> Json:
    """The body of a POST to /v1/traces."""
    spans = [span for one in ended for span in _spans(one)]
    return {"resourceSpans": [{"resource": _resource(resource), "scopeSpans": [{"scope": _SCOPE, "spans": spans}]}]}


def _spans(ended: Ended) -> Iterable[Json]:
    """The span of the request, and one child span for each attempt."""
    record, context = ended.record, ended.context
    asked = operation(record.face)
    span = _span(context, context.span_id, SERVER, f"{asked} {record.model}", record.opened_at, record.duration_ms)
    if context.parent is not None:
        span["parentSpanId"] = context.parent.span_id
    if context.link is not None:
        span["links"] = [_link(context.link)]
    members = {
        "gen_ai.operation.name": asked,
        "gen_ai.request.model": record.model,
        "gen_ai.request.stream": record.stream,
        "gen_ai.provider.name": record.provider,
        "gen_ai.response.model": record.provider_model,
        "gen_ai.usage.input_tokens": record.tokens_in,
        "gen_ai.usage.output_tokens": record.tokens_out,
        "http.response.status_code": record.status,
        "llmproxy.request.id": record.id,
        "llmproxy.outcome": record.metric,
        "llmproxy.attempts": record.attempts,
        "llmproxy.key": record.owner,
        "llmproxy.group": record.group,
        "llmproxy.stopped_by": record.stopped_by,
        "llmproxy.cost": record.cost_e12 / DOLLAR if record.cost_e12 is not None else None,
        **ended.content,
    }
    yield _closed(span, members, error_type(record))
    for call in ended.calls:
        yield _attempt(ended, call)


def _attempt(ended: Ended, call: Call) -> Json:
    one, context, asked = call.record, ended.context, operation(ended.record.face)
    id = context.attempt(one.number)
    span = _span(context, id, CLIENT, f"{asked} {one.model}", call.started_at, one.duration_ms)
    span["parentSpanId"] = context.span_id
    tokens = one.tokens or Tokens()
    members = {
        "gen_ai.operation.name": asked,
        "gen_ai.provider.name": one.provider,
        "gen_ai.request.model": one.model,
        "gen_ai.request.stream": ended.record.stream,
        "gen_ai.usage.input_tokens": tokens.prompt if one.tokens else None,
        "gen_ai.usage.output_tokens": tokens.completion if one.tokens else None,
        "gen_ai.usage.cache_read.input_tokens": tokens.cache_read or None,
        "gen_ai.usage.cache_creation.input_tokens": tokens.cache_write_5m + tokens.cache_write_1h or None,
        "gen_ai.usage.reasoning.output_tokens": tokens.reasoning or None,
        "gen_ai.response.time_to_first_chunk": one.ttft_ms / 1000 if one.ttft_ms is not None else None,
        "llmproxy.attempt": one.number,
        "llmproxy.attempt.state": one.state,
        "llmproxy.usage_source": one.usage_source,
        "llmproxy.provider_request.id": one.provider_id,
        "llmproxy.cost": one.cost_e12 / DOLLAR if one.cost_e12 is not None else None,
    }
    return _closed(span, members, attempt_error_type(one))


def _span(context: TraceContext, id: str, kind: int, name: str, began: float, took_ms: float | None) -> Json:
    ended = began + (took_ms or 0) / 1000
    return {
        "traceId": context.trace_id, "spanId": id, "name": name, "kind": kind,
        "startTimeUnixNano": _nano(began), "endTimeUnixNano": _nano(ended),
    }  # fmt: skip


def _closed(span: Json, values: Mapping[str, Any], error: str) -> Json:
    span["attributes"] = attributes({**values, "error.type": error})
    if error:
        span["status"] = {"code": ERROR, "message": error}
    return span


def _link(parent: Parent) -> Json:
    link = {"traceId": parent.trace_id, "spanId": parent.span_id, "flags": parent.flags}
    return {**link, "traceState": parent.state} if parent.state else link


def metrics(
    resource: Mapping[str, str], given: Distributions, gauges: Mapping[str, float], since: float, now: float
) -> Json:
    """The body of a POST to /v1/metrics: totals since the process began. since, now: Unix seconds."""
    times = {"startTimeUnixNano": _nano(since), "timeUnixNano": _nano(now)}
    members = [
        *(_histogram(name, series, times) for name, series in given.histograms.items() if series),
        *(_sum(name, series, times) for name, series in given.counters.items() if series),
        *({"name": name, "gauge": {"dataPoints": [{"timeUnixNano": _nano(now), "asDouble": value}]}}
          for name, value in gauges.items()),
    ]  # fmt: skip
    return {
        "resourceMetrics": [{"resource": _resource(resource), "scopeMetrics": [{"scope": _SCOPE, "metrics": members}]}]
    }


def _histogram(name: str, known: Mapping[tuple[str, ...], Series], times: Json) -> Json:
    kind = HISTOGRAMS[name]
    points = [
        {
            **times, "attributes": _labels(kind.labels, labels), "count": str(sum(one.counts)), "sum": one.sum,
            "bucketCounts": list(map(str, one.counts)), "explicitBounds": list(kind.buckets),
        }
        for labels, one in known.items()
    ]  # fmt: skip
    unit = "s" if name.endswith("_seconds") else "{token}"
    return {
        "name": kind.otel, "description": kind.text, "unit": unit,
        "histogram": {"aggregationTemporality": CUMULATIVE, "dataPoints": points},
    }  # fmt: skip


def _sum(name: str, known: Mapping[tuple[str, ...], float], times: Json) -> Json:
    text, labels = COUNTERS[name]
    points = [{**times, "attributes": _labels(labels, given), "asDouble": amount} for given, amount in known.items()]
    members = {"aggregationTemporality": CUMULATIVE, "isMonotonic": True, "dataPoints": points}
    return {"name": name.replace("_", ".", 1), "description": text, "sum": members}


def _labels(names: Sequence[str], values: Sequence[str]) -> list[Json]:
    members = {_LABELS.get(name, name): value or None for name, value in zip(names, values, strict=True)}
    return attributes(members)


def _resource(resource: Mapping[str, str]) -> Json:
    return {"attributes": attributes(resource)}


def attributes(values: Mapping[str, Any]) -> list[Json]:
    """A list of keys and values; values that are None or not text are left out."""
    return [
        {"key": name, "value": _value(value)} for name, value in values.items() if value is not None and value != ""
    ]


def _value(value: Any) -> Json:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": str(value)}


def _nano(seconds: float) -> str:
    return str(int(seconds * 1e6) * 1000)
