"""Errors in Messages' form: types, statuses, and Anthropic's own wording where clients act on it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError

_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STATUSES: Mapping[int, int] = {502: 500, 503: 529}
_QUOTED = re.compile(r"'([^']+)'")
_NUMBER = re.compile(r"(?<![\w.-])\d[\d,]*(?![\w-])")
_OUTPUT_LIMIT = re.compile(r"max_(?:completion_|output_)?tokens|maxOutputTokens", re.IGNORECASE)


def status_of(error: GatewayError) -> int:
    """Anthropic's status. A used-up budget is 402, which no client repeats."""
    return 402 if error.code == "insufficient_quota" else _STATUSES.get(error.status, error.status)


def as_error(error: GatewayError, request_id: str = "") -> Json:
    """`{"type": "error", "error": {"type", "message"}, "request_id"}`."""
    kind = _TYPES.get(status_of(error), "api_error" if error.status >= 500 else "invalid_request_error")
    body: Json = {"type": "error", "error": {"type": kind, "message": _message(error)}}
    return {**body, "request_id": request_id} if request_id else body


def event(error: GatewayError) -> bytes:
    return b"event: error\ndata: %b\n\n" % orjson.dumps(as_error(error))


def _message(error: GatewayError) -> str:
    """Claude Code decides by the wording whether it asks for less, compacts, or asks for another model."""
    text = error.message
    if error.code == "model_not_found" and (named := _QUOTED.search(text)):
        return f"model: {named[1]}. {text}"
    numbers = [int(one.replace(",", "")) for one in _NUMBER.findall(text)]
    if error.code == "context_length_exceeded" and not text.startswith("prompt is too long"):
        least, most = (min(numbers), max(numbers)) if len(numbers) > 1 else (0, 0)
        counts = f": {most} tokens > {least} maximum" if most > least else ""
        return f"prompt is too long{counts}. {text}"
    wanted, most = max(numbers, default=0), min(numbers, default=0)
    if error.status == 400 and _OUTPUT_LIMIT.search(text) and wanted > most > 0 and not text.startswith("max_tokens:"):
        return f"max_tokens: {wanted} > {most}, which is the maximum allowed number of output tokens. {text}"
    return text
