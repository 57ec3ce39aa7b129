"""Parses Anthropic's errors: types become OpenAI's codes, and reset times become waits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from time import time

import orjson

from llmproxy.adapter_kit import Json, UpstreamError, blame
from llmproxy.adapter_kit import in_band as any_in_band
from llmproxy.adapter_kit import parse_error as any_error

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_CODES = {
    "authentication_error": "invalid_api_key",
    "billing_error": "insufficient_quota",
    "permission_error": "permission_denied",
    "request_too_large": "request_too_large",
    "rate_limit_error": "rate_limit_exceeded",
    "timeout_error": "upstream_timeout",
    "overloaded_error": "server_is_overloaded",
}
_NO_MODEL = re.compile(r"\bmodel\b")
_NO_MONEY = re.compile(r"credit balance is too low|usage limits", re.IGNORECASE)
_SIGNATURE = re.compile(r"[Ii]nvalid `?signature`? in `?(?:redacted_)?thinking`?")
_UNVERIFIED = "invalid_encrypted_content"  # OpenAI's code for thoughts that cannot be verified
_LIMIT = re.compile(r"anthropic-ratelimit-(.+)-reset")


def parse_error(status: int, headers: Mapping[str, str], body: bytes, secret: str = "") -> UpstreamError:
    """The error for an HTTP error reply. A body in another form comes from a proxy in between."""
    event = _event(body)
    made = _read(event, status, headers, secret) if event else any_error(status, headers, body, secret)
    if headers.get("x-should-retry") == "false":
        made.retry_here = False
    return made


def in_band(event: Json, secret: str = "") -> UpstreamError:
    """The error for an event in a reply with status 200; its type gives the status."""
    error = event.get("error")
    if not isinstance(error, dict) or error.get("type") not in _STATUS:
        return any_in_band(event, secret)
    return _read(event, _STATUS[error["type"]], {}, secret)


def _event(body: bytes) -> Json:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    error = parsed.get("error") if isinstance(parsed, dict) else None
    return parsed if isinstance(error, dict) and isinstance(error.get("type"), str) else {}


def _read(event: Json, status: int, headers: Mapping[str, str], secret: str) -> UpstreamError:
    error = event["error"]
    request = event.get("request_id")
    extra = {"request_id": request} if isinstance(request, str) else {}
    made = blame({**error, "code": _code(error), **extra}, status, _with_wait(status, headers), secret)
    if made.code == "insufficient_quota":  # a problem of the account, not of the request
        made.retry_here, made.try_elsewhere, made.blames = False, True, False
    if made.code == _UNVERIFIED:  # the next provider gets the request without these thoughts
        made.try_elsewhere = True
    return made


def _code(error: Json) -> str | None:
    kind, message = str(error.get("type")), str(error.get("message"))
    if kind == "not_found_error":
        return "model_not_found" if _NO_MODEL.search(message) else "not_found"
    if kind == "invalid_request_error" and _NO_MONEY.search(message):
        return "insufficient_quota"
    if _SIGNATURE.search(message):
        return _UNVERIFIED
    code = error.get("code")
    return code if isinstance(code, str) else _CODES.get(kind)


def _with_wait(status: int, headers: Mapping[str, str]) -> Mapping[str, str]:
    """Adds a `retry-after` from the reset times of exhausted limits, if there is none."""
    if status != 429 or "retry-after" in headers or "retry-after-ms" in headers:
        return headers
    waits = [wait for name, value in headers.items() if (wait := _until(name, value, headers)) is not None]
    return {**headers, "retry-after": f"{max(waits):.1f}"} if waits else headers


def _until(name: str, value: str, headers: Mapping[str, str]) -> float | None:
    found = _LIMIT.fullmatch(name)
    if found is None or headers.get(f"anthropic-ratelimit-{found[1]}-remaining") != "0":
        return None
    try:
        instant = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return max(0.0, instant.timestamp() - time())
