"""W3C Trace Context: the trace to which a request belongs, and the headers for calls of providers.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import NamedTuple

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(r"[\x20-\x7e]{1,512}")
_SAMPLED = 1


class Parent(NamedTuple):
    """The caller's span. flags: bit 0 means that it is recorded. state: `tracestate`, unchanged."""

    trace_id: str
    span_id: str
    flags: int
    state: str = ""


def parse(traceparent: str | None, tracestate: str | None = None) -> Parent | None:
    """Reads the headers; None if they are missing or invalid."""
    found = _PARENT.fullmatch(traceparent.strip()) if traceparent else None
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    state = tracestate or ""
    return Parent(trace_id, span_id, int(flags, 16), state if _STATE.fullmatch(state) else "")


@dataclass(slots=True)
class TraceContext:
    """The trace context of one request. span_id: its own span. parent: the caller's span, if it is in the same trace;
    link: if it is in another.

    sampled: whether its spans are recorded.
    """

    trace_id: str
    span_id: str
    sampled: bool
    parent: Parent | None = None
    link: Parent | None = None
    _attempts: dict[int, str] = field(default_factory=dict)

    def attempt(self, number: int) -> str:
        """The ID of an attempt's span; the same one on every call."""
        found = self._attempts.get(number)
        if found is None:
            found = self._attempts[number] = os.urandom(8).hex()
        return found

    def headers(self, number: int) -> dict[str, str]:
        """The headers for a call of a provider."""
        headers = {"traceparent": f"00-{self.trace_id}-{self.attempt(number)}-{_SAMPLED if self.sampled else 0:02x}"}
        if self.parent is not None and self.parent.state:
            headers["tracestate"] = self.parent.state
        return headers


def joined(caller: Parent | None, share: float) -> TraceContext:
    """A context inside the caller's trace, recorded if the caller's span is."""
    if caller is None:
        return begun(None, share)
    return TraceContext(caller.trace_id, os.urandom(8).hex(), bool(caller.flags & _SAMPLED), parent=caller)


def begun(caller: Parent | None, share: float) -> TraceContext:
    """A context in a new trace, with a link to the caller's. share: the part of such traces that is recorded."""
    trace_id = os.urandom(16).hex()
    return TraceContext(trace_id, os.urandom(8).hex(), int(trace_id[16:], 16) < share * 2**64, link=caller)
