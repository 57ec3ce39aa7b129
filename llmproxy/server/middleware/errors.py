"""Renders errors in the client's dialect: a status with a JSON body, or the last events of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from aiohttp import web
from multidict import istr

from llmproxy.core.dialect import Dialect
from llmproxy.core.errors import GatewayError, UpstreamError
from llmproxy.core.opener import Reply
from llmproxy.core.trace import Trace
from llmproxy.wire.headers import header_safe
from llmproxy.wire.sse import frame

_ATTEMPTS, _PROVIDER = istr("X-LLMProxy-Attempts"), istr("X-LLMProxy-Provider")
_MODEL, _ROUTE = istr("X-LLMProxy-Model"), istr("X-LLMProxy-Route")


def response(
    error: GatewayError, trace: Trace | None = None, dialect: Dialect | None = None, request_id: str = ""
) -> web.Response:
    """The error as a complete answer."""
    headers = {**error.headers, **(trace_headers(trace) if trace is not None else {})}
    if isinstance(error, UpstreamError) and trace is not None and trace.attempts > 1:
        headers["x-should-retry"] = (
            "false"  # the gateway has retried already: the client must not multiply the attempts
        )
    status, body = error.status, error.as_bytes()
    if dialect is not None:
        status = dialect.status(error)
        body, more = dialect.error(error, request_id)
        headers |= more
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def event(error: GatewayError, dialect: Dialect | None = None, reply: Reply | None = None) -> bytes:
    """The error as the last events of a stream. In OpenAI's chat no [DONE] follows. reply: the answer, if it had begun."""
    if dialect is None:
        return frame(error.as_json())
    failed = getattr(reply.translator, "failed", None) if reply is not None else None
    return (failed(error) if failed is not None else None) or dialect.error_event(error)


def trace_headers(trace: Trace) -> dict[str, str]:
    """The headers with the provider and model that answered."""
    headers = dict(_who(trace.attempts, trace.provider, trace.model, trace.route))
    if trace.cache:
        headers["X-LLMProxy-Cache"] = trace.cache
    if trace.dropped:
        headers["X-LLMProxy-Dropped-Params"] = header_safe(", ".join(trace.dropped))
    if trace.headers:
        headers.update(trace.headers)
    return headers


@lru_cache(1024)  # nearly all requests have one of a few
def _who(attempts: int, provider: str | None, model: str | None, route: str | None) -> Mapping[str, str]:
    headers: dict[str, str] = {_ATTEMPTS: str(attempts)}
    if provider:
        headers[_PROVIDER] = provider
    if model:
        headers[_MODEL] = header_safe(model)
    if route:
        headers[_ROUTE] = header_safe(route)
    return headers
