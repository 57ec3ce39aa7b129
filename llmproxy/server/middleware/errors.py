"""Failures as an OpenAI client expects them: a status with a JSON body, or the last event of a stream."""

from __future__ import annotations

from aiohttp import web

from llmproxy.core.errors import GatewayError, UpstreamError
from llmproxy.core.trace import Trace
from llmproxy.wire.headers import header_safe
from llmproxy.wire.sse import frame


def response(error: GatewayError, trace: Trace | None = None) -> web.Response:
    """The error as a whole answer."""
    headers = {**error.headers, **(trace_headers(trace) if trace is not None else {})}
    if isinstance(error, UpstreamError) and trace is not None and trace.attempts > 1:
        headers["x-should-retry"] = "false"  # our own tries are used up: the client must not multiply them
    return web.Response(status=error.status, body=error.as_bytes(), content_type="application/json", headers=headers)


def event(error: GatewayError) -> bytes:
    """The error as a stream's last event. No [DONE] follows."""
    return frame(error.as_json())


def trace_headers(trace: Trace) -> dict[str, str]:
    """The headers that say what really answered."""
    headers = {"X-LLMProxy-Attempts": str(trace.attempts)}
    if trace.provider:
        headers["X-LLMProxy-Provider"] = trace.provider
    if trace.model:
        headers["X-LLMProxy-Model"] = header_safe(trace.model)
    if trace.route:
        headers["X-LLMProxy-Route"] = header_safe(trace.route)
    if trace.dropped:
        headers["X-LLMProxy-Dropped-Params"] = header_safe(", ".join(trace.dropped))
    return headers
