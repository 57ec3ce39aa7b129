"""W3C Trace Context: whose trace a request belongs to, and what its calls of providers are told of it.

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
    """The caller's span. flags: bit 0 says that it is recorded. state: `tracestate`, as it came."""

    trace_id: str
    span_id: str
    flags: int
    state: str = ""


def parse(traceparent: str | None, tracestate: str | None = None) -> Parent | None:
    """What the headers say; None where they say nothing that counts."""
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
    """Of one request. span_id: its own span. parent: the caller's span, if it is in the same trace; link: if it is in another.

    sampled: whether its spans are recorded.
    """

    trace_id: str
    span_id: str
    sampled: bool
    parent: Parent | None = None
    link: Parent | None = None
    _attempts: dict[int, str] = field(default_factory=dict)

    def attempt(self, number: int) -> str:
        """The id of an attempt's span; the same one however often it is asked for."""
        found = self._attempts.get(number)
        if found is None:
            found = self._attempts[number] = os.urandom(8).hex()
        return found

    def headers(self, number: int) -> dict[str, str]:
        """What the call of a provider says."""
        told = {"traceparent": f"00-{self.trace_id}-{self.attempt(number)}-{_SAMPLED if self.sampled else 0:02x}"}
        if self.parent is not None and self.parent.state:
            told["tracestate"] = self.parent.state
        return told


def joined(caller: Parent | None, share: float) -> TraceContext:
    """A request's context inside of its caller's trace, recorded if the caller's is."""
    if caller is None:
        return begun(None, share)
    return TraceContext(caller.trace_id, os.urandom(8).hex(), bool(caller.flags & _SAMPLED), parent=caller)


def begun(caller: Parent | None, share: float) -> TraceContext:
    """A request's context in a trace of its own, with a link to its caller's. share: of such traces, is recorded."""
    trace_id = os.urandom(16).hex()
    return TraceContext(trace_id, os.urandom(8).hex(), int(trace_id[16:], 16) < share * 2**64, link=caller)
