"""What is sent to an OpenTelemetry collector. Its official types are the oracle: they refuse what they do not know."""

from __future__ import annotations

import base64
import copy
from importlib import import_module
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import ParseDict, ParseError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from llmproxy.core.record import AttemptRecord, RequestRecord
from llmproxy.core.trace_context import Parent, TraceContext, joined
from llmproxy.core.usage import Tokens
from llmproxy.observe.histograms import Distributions
from llmproxy.observe.otlp import Call, Ended, metrics, traces

_WORDS = "opentelemetry.semconv._incubating"
error_attributes, gen_ai_attributes, http_attributes = (
    import_module(f"{_WORDS}.attributes.{name}_attributes") for name in ("error", "gen_ai", "http")
)
gen_ai_metrics = import_module(f"{_WORDS}.metrics.gen_ai_metrics")
AT = 1_800_000_000.25
CALLER = Parent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "vendor=value")
CONVENTIONS = {
    value
    for module in (error_attributes, gen_ai_attributes, http_attributes)
    for name, value in vars(module).items()
    if isinstance(value, str) and name.isupper()
}


def attempt(number: int, **more: Any) -> AttemptRecord:
    one = AttemptRecord(
        number,
        "near",
        "m",
        "answered",
        None,
        True,
        Tokens(40, 60, output=50, reasoning=7),
        "provider",
        None,
        20.0,
        100.0,
    )
    return one._replace(**more)


def request(*tries: AttemptRecord, **more: Any) -> RequestRecord:
    one = RequestRecord(
        AT, "request-1", "ann", "messages", "completed", None, AT + 0.5, "fast", "near", "m", len(tries), 200, None, 100, 50, 7, 60,
        "provider", 123 * 10**6, 20.0, 500.0, None, 12.0, "team", stream=True, tries=tries,
    )  # fmt: skip
    return one._replace(**more)


def ended(record: RequestRecord, context: TraceContext | None = None) -> Ended:
    return Ended(context or joined(CALLER, 1.0), record, [Call(AT + one.number / 10, one) for one in record.tries])


def official(body: Any) -> Any:
    """As a collector reads it. Protobuf's JSON has ids in base64, OTLP's in hex: that alone is changed."""
    body = copy.deepcopy(orjson.loads(orjson.dumps(body)))
    for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for one in (span, *span.get("links", [])):
            for name in ("traceId", "spanId", "parentSpanId"):
                if name in one:
                    one[name] = base64.b64encode(bytes.fromhex(one[name])).decode()
    return ParseDict(body, ExportTraceServiceRequest()).resource_spans[0].scope_spans[0].spans


def said(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def test_the_oracle_refuses_what_it_does_not_know() -> None:
    body = traces({}, [ended(request())])
    body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["began"] = "1"
    with pytest.raises(ParseError):
        official(body)


def test_a_request_is_a_span_in_its_callers_trace_with_its_attempts_below_it() -> None:
    given = ended(request(attempt(1, state="failed", code="upstream_error", tokens=None), attempt(2)))
    server, first, second = official(traces({"service.name": "x"}, [given]))
    assert server.trace_id.hex() == first.trace_id.hex() == CALLER.trace_id
    assert (server.parent_span_id.hex(), server.span_id.hex()) == (CALLER.span_id, given.context.span_id)
    assert (server.kind, first.kind) == (server.SPAN_KIND_SERVER, server.SPAN_KIND_CLIENT)
    assert [one.parent_span_id for one in (first, second)] == [server.span_id] * 2
    assert [one.span_id.hex() for one in (first, second)] == [given.context.attempt(1), given.context.attempt(2)]
    assert (server.name, second.name) == ("chat fast", "chat m")
    assert server.start_time_unix_nano == 1_800_000_000_250_000_000
    assert server.end_time_unix_nano - server.start_time_unix_nano == 500_000_000
    assert second.end_time_unix_nano - second.start_time_unix_nano == 100_000_000
    assert [one.status.code for one in (server, first, second)] == [0, 2, 0]
    assert said(first.attributes)["error.type"] == "upstream_error"


def test_what_was_used_is_said_in_the_conventions_words() -> None:
    server, call = official(traces({}, [ended(request(attempt(1)))]))
    told = said(call.attributes)
    assert told | {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "near", "gen_ai.request.model": "m", "gen_ai.request.stream": True,
        "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 50, "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.reasoning.output_tokens": 7, "gen_ai.response.time_to_first_chunk": 0.02, "llmproxy.usage_source": "provider",
    } == told  # fmt: skip
    told = said(server.attributes)
    assert (
        told
        | {"http.response.status_code": 200, "llmproxy.key": "ann", "llmproxy.group": "team", "llmproxy.cost": 123e-6}
        == told
    )
    for attributes in (server.attributes, call.attributes):
        assert {name for name in said(attributes) if not name.startswith("llmproxy.")} <= CONVENTIONS


@pytest.mark.parametrize(
    ("face", "operation"),
    [
        ("chat", "chat"),
        ("responses", "chat"),
        ("completions", "text_completion"),
        ("embeddings", "embeddings"),
        ("gemini", "generate_content"),
    ],
)
def test_each_dialect_is_an_operation_of_the_conventions(face: str, operation: str) -> None:
    [server] = official(traces({}, [ended(request(face=face))]))
    assert said(server.attributes)["gen_ai.operation.name"] == operation
    assert operation in {one.value for one in gen_ai_attributes.GenAiOperationNameValues}


def test_a_linked_request_names_its_caller() -> None:
    [server] = official(traces({}, [ended(request(), TraceContext("1" * 32, "2" * 16, True, link=CALLER))]))
    assert server.parent_span_id == b""
    [link] = server.links
    assert (link.trace_id.hex(), link.span_id.hex(), link.flags, link.trace_state) == CALLER


def test_the_numbers_are_the_conventions_metrics() -> None:
    given = Distributions()
    given.add(request(attempt(1, cost_e12=10**9), attempt(2, state="failed", tokens=None), queue_ms=3.0))
    body = metrics({"service.name": "x"}, given, {"llmproxy.in_flight": 2.0}, AT - 60, AT)
    read = ParseDict(orjson.loads(orjson.dumps(body)), ExportMetricsServiceRequest()).resource_metrics[0]
    assert said(read.resource.attributes) == {"service.name": "x"}
    found = {one.name: one for one in read.scope_metrics[0].metrics}
    known = {value for name, value in vars(gen_ai_metrics).items() if isinstance(value, str) and name.isupper()}
    assert {name for name in found if not name.startswith("llmproxy.")} <= known
    usage = found["gen_ai.client.token.usage"]
    assert usage.unit == "{token}"
    points = {said(one.attributes)["gen_ai.token.type"]: one for one in usage.histogram.data_points}
    assert (points["input"].sum, points["output"].count) == (100, 1)
    assert len(points["input"].bucket_counts) == len(points["input"].explicit_bounds) + 1
    assert sum(points["input"].bucket_counts) == points["input"].count
    duration = found["gen_ai.client.operation.duration"]
    assert (duration.unit, duration.histogram.aggregation_temporality) == ("s", 2)
    errors = [said(one.attributes).get("error.type") for one in duration.histogram.data_points]
    assert errors == [None, "_OTHER"]
    assert {said(one.attributes)["gen_ai.operation.name"] for one in duration.histogram.data_points} == {"chat"}
    [cost] = found["llmproxy.cost_dollars"].sum.data_points
    assert (cost.as_double, found["llmproxy.cost_dollars"].sum.is_monotonic) == (0.001, True)
    assert cost.time_unix_nano - cost.start_time_unix_nano == 60 * 10**9
    assert found["llmproxy.in_flight"].gauge.data_points[0].as_double == 2
