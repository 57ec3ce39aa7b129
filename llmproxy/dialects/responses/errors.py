"""Errors in Responses' form: by status before the answer, by `response.failed` after its start."""

from __future__ import annotations

import re

from llmproxy.core.chat import Json
from llmproxy.core.errors import Cancelled, GatewayError, UpstreamError

_KEPT = frozenset(
    (
        "server_error", "rate_limit_exceeded", "invalid_prompt", "insufficient_quota", "context_length_exceeded",
        "server_is_overloaded", "slow_down", "cyber_policy", "usage_not_included",
    )
)  # fmt: skip
_OVERLOADED = frozenset((503, 529))
_SECONDS = re.compile(r"\d+(?:\.\d+)?")


def status_of(error: GatewayError) -> int:
    """An unknown model is 400 in this API."""
    return 400 if error.code == "model_not_found" and error.status == 404 else error.status


def failure(error: GatewayError) -> Json:
    """The `error` of a failed response, with the codes that Codex acts on.

    Codex repeats a request for all codes but a few. A cancelled request must not be repeated, so its code is
    `invalid_prompt`.
    """
    code = error.code or ""
    if code in _KEPT:
        return {"code": code, "message": _with_wait(error) if code == "rate_limit_exceeded" else error.message}
    if isinstance(error, Cancelled) or 400 <= error.status < 429:
        return {"code": "invalid_prompt", "message": error.message}
    if error.status == 429:
        return {"code": "rate_limit_exceeded", "message": _with_wait(error)}
    return {"code": "server_is_overloaded" if error.status in _OVERLOADED else "server_error", "message": error.message}


def _with_wait(error: GatewayError) -> str:
    """Adds the time to wait to the message, where Codex reads it."""
    wait = error.wait if isinstance(error, UpstreamError) else None
    header = next((v for k, v in error.headers.items() if k.lower() == "retry-after"), "")
    seconds = f"{wait:g}" if wait is not None else header if _SECONDS.fullmatch(header) else ""
    if not seconds or "try again in" in error.message:
        return error.message
    return f"{error.message.rstrip('. ')}. Please try again in {seconds}s."
