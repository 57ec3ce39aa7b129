"""Errors in Google's form: `google.rpc.Status`, with the time to wait if it is known."""

from __future__ import annotations

import re
from typing import Any

from llmproxy.core.chat import Json
from llmproxy.core.errors import GatewayError, UpstreamError

from .tables import GEMINI_STATUS, status_word

_TYPE = "type.googleapis.com/google.rpc."
_SECONDS = re.compile(r"\d+(?:\.\d+)?")
_UNKNOWN_TO_GOOGLE = {402: 429, 502: 503, 529: 503}  # clients decide by the status whether to repeat the request


def status_of(error: GatewayError) -> int:
    return _UNKNOWN_TO_GOOGLE.get(error.status, error.status)


def failure(error: GatewayError) -> Json:
    """`{"error": {code, message, status, details}}`."""
    status = status_of(error)
    header = error.extra.get("status")
    word = header if isinstance(header, str) and GEMINI_STATUS.get(header) == status else status_word(status)
    return {"error": {"code": status, "message": error.message, "status": word, "details": _details(error)}}


def _details(error: GatewayError) -> list[Any]:
    given = error.extra.get("details")
    if isinstance(given, list):  # Google's own
        details = [one for one in given if isinstance(one, dict)]
    else:
        metadata = {"param": error.param} if error.param else {}
        info = {"@type": f"{_TYPE}ErrorInfo", "reason": (error.code or error.type).upper(), "domain": "llmproxy"}
        details = [{**info, **({"metadata": metadata} if metadata else {})}]
    wait = _wait(error)
    if wait is not None and not any(str(one.get("@type", "")).endswith("RetryInfo") for one in details):
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{wait:g}s"})
    return details


def _wait(error: GatewayError) -> float | None:
    if isinstance(error, UpstreamError) and error.wait is not None:
        return error.wait
    header = next((value for name, value in error.headers.items() if name.lower() == "retry-after"), "")
    return float(header) if _SECONDS.fullmatch(header) else None
