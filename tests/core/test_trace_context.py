"""W3C Trace Context: what counts as a caller's trace, and what providers are told. OpenTelemetry's own reader is the oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from llmproxy.core.trace_context import Parent, begun, joined, parse

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = f"00-{TRACE}-{SPAN}-01"


def oracle(header: str) -> Parent | None:
    context = TraceContextTextMapPropagator().extract({"traceparent": header})
    span = trace.get_current_span(context).get_span_context()
    return Parent(f"{span.trace_id:032x}", f"{span.span_id:016x}", int(span.trace_flags)) if span.is_valid else None


HEADERS = st.builds(
    lambda *parts: "-".join(parts),
    st.sampled_from(["00", "01", "ff", "0", "zz"]),
    st.sampled_from([TRACE, "0" * 32, TRACE.upper(), TRACE[1:]]),
    st.sampled_from([SPAN, "0" * 16, SPAN[2:]]),
    st.sampled_from(["00", "01", "03", "1", "xx"]),
)


@given(HEADERS | HEADERS.map(lambda one: f"{one}-more") | HEADERS.map(lambda one: f" {one} ") | st.text(max_size=60))
def test_a_callers_trace_is_read_as_opentelemetry_reads_it(header: str) -> None:
    assert parse(header) == oracle(header)


@pytest.mark.parametrize("state", ["vendor=value", "a=1,b=2"])
def test_the_state_of_a_joined_trace_is_passed_on(state: str) -> None:
    context = joined(parse(CALLER, state), 1.0)
    assert context.headers(1)["tracestate"] == state


def test_a_state_that_is_no_header_value_is_left_out() -> None:
    assert parse(CALLER, "a=1\r\nX: y") == Parent(TRACE, SPAN, 1)


def test_a_joined_request_is_in_its_callers_trace_and_recorded_as_that_is() -> None:
    for flags in (0, 1):
        context = joined(Parent(TRACE, SPAN, flags), share=1.0 - flags)
        assert (context.trace_id, context.sampled) == (TRACE, bool(flags))
        told = parse(context.headers(1)["traceparent"])
        assert told == Parent(TRACE, context.attempt(1), flags)
        assert told.span_id not in (SPAN, context.span_id)


def test_each_attempt_has_one_span_of_its_own() -> None:
    context = joined(None, 1.0)
    assert context.attempt(1) == context.attempt(1) != context.attempt(2)


def test_a_linked_request_begins_a_trace_of_its_own() -> None:
    context = begun(parse(CALLER, "vendor=value"), 1.0)
    assert context.trace_id != TRACE
    assert (context.parent, context.link) == (None, Parent(TRACE, SPAN, 1, "vendor=value"))
    assert "tracestate" not in context.headers(1)


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.5, 400, 600), (1.0, 1000, 1000)])
def test_of_the_traces_that_begin_here_a_share_is_recorded(share: float, least: int, most: int) -> None:
    assert least <= sum(begun(None, share).sampled for _ in range(1000)) <= most
