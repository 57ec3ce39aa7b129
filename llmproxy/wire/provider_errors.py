"""Parses provider error responses into UpstreamError: retryable, fallback, Retry-After. For OpenAI-like APIs.

Sources of the rules: recorded 4xx and 5xx bodies of five providers, OpenAI's error guide, google.rpc.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.errors import UpstreamError, type_of

from .context_overflow import is_overflow, overflow
from .error_dresses import disguised, meant
from .nesting import is_deep
from .retry_after import retry_after

RETRY_HERE = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529))
NOT_ELSEWHERE = frozenset((400, 411, 413, 414, 415, 422, 431, 501))
# A refusal (moderation, permission, payment, unknown model) says nothing about the provider's health; a refused key does.
BLAMED = frozenset((401, 408, 425))
_ASKED_TO_WAIT = RETRY_HERE | {402}
# Codes for moderation and permissions: they concern this request or this key, with any status.
REFUSALS = frozenset(
    (
        "content_filter",
        "content_policy_violation",
        "data_inspection_failed",
        "guardrail",
        "moderation",
        "moderation_blocked",
        "permission_denied",
        "permission_error",
        "responsible_ai_policy_violation",
        "safety",
    )
)
_NOT_PERMITTED = re.compile(
    r"permission|missing scope|not (?:have|allowed) access", re.IGNORECASE
)  # OpenAI sends 401 for it
# A 429 of this kind does not end by waiting.
OUT_OF_MONEY = frozenset(
    (
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    )
)
_NAME = 200  # characters of a code, a type or a parameter's name
_TOO_LONG = 500  # characters of a text that is not JSON
_KEYS = re.compile(r"\b(?:sk-[A-Za-z0-9_-]{12,}|pplx-[A-Za-z0-9]{12,}|AIza[A-Za-z0-9_-]{20,}|AQ\.[A-Za-z0-9_-]{20,})")
_OURS = frozenset(("message", "type", "param", "code"))


def parse_error(status: int, headers: Mapping[str, str], body: bytes, secret: str = "") -> UpstreamError:
    """The error of a reply with this status. `secret` is our key, which is removed from messages."""
    error = _error_object(body)
    return blame(error, _status(status, error), headers, secret)


def in_band(chunk: Json, secret: str = "") -> UpstreamError:
    """The error inside a stream or a 200 reply: `{"error": {...}}` or `{"error": "text"}`."""
    error = _as_error(chunk)
    status = _status(502, error)
    if status == 502 and (words := meant(_string(error.get("message")) or "")) is not None:
        status = words[0]
        error = {**error, "code": _name_of(error.get("code")) or words[1]}
    return blame(error, status, {}, secret)


def _name_of(code: object) -> str | None:
    """A code, if it is a name; a provider's own numbers mean nothing to clients."""
    return code if isinstance(code, str) and code and not code.isdigit() else None


def blame(error: Json, status: int, headers: Mapping[str, str], secret: str = "") -> UpstreamError:
    """Builds the error for a provider's error object and HTTP status. The secret is removed from its message."""
    code, kind = _string(error.get("code")), _string(error.get("type"))
    wait = retry_after(headers, error) if status in _ASKED_TO_WAIT else None
    spent = code in OUT_OF_MONEY or kind in OUT_OF_MONEY
    message = _string(error.get("message")) or f"The provider answered with HTTP status {status}."
    final = (
        spent
        or not _REFUSED.isdisjoint((_squashed(code), _squashed(kind)))
        or (status == 401 and bool(_NOT_PERMITTED.search(message)))
    )
    extra = {key: value for key, value in error.items() if key not in _OURS and value is not None}
    made = UpstreamError(
        scrub(message, secret),
        status=status,
        type=_word(kind, secret) or type_of(status),
        code=_word(code, secret),
        param=_word(_string(error.get("param")), secret),
        extra=_scrubbed(extra, secret),
        headers={"Retry-After": str(max(0, math.ceil(wait)))} if wait is not None else {},
        retry_here=status in RETRY_HERE and not final,
        try_elsewhere=status not in NOT_ELSEWHERE or code == "model_not_found",
        blames=(status in BLAMED or (status >= 500 and status != 501)) and not final,
        provider_wide=status == 401,
        wait=wait,
    )
    return overflow(made) if is_overflow(made, error) else made


def _word(word: str | None, secret: str) -> str | None:
    """A value that should be a name, in any form; it is written to logs too."""
    return None if word is None else scrub(word[:_NAME], secret)


def _error_object(body: bytes) -> Json:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _prose(body)
    if is_deep(parsed, body):
        return {}
    if isinstance(parsed, list):  # Google's compatible endpoint: a list of one
        parsed = parsed[0] if parsed else {}
    return _as_error(parsed)


def _as_error(parsed: object) -> Json:
    if not isinstance(parsed, dict):
        return {"message": str(parsed)[:_TOO_LONG]}
    error = parsed.get("error")
    if isinstance(error, dict):
        return error
    if not error and (other := disguised(parsed)) is not None:
        return {key: value for key, value in other.items() if value is not None}
    message = error or parsed.get("message") or parsed.get("detail")
    if isinstance(message, (dict, list)):  # FastAPI lists all validation errors
        message = orjson.dumps(message).decode()
    return {"message": message, "type": parsed.get("type"), "code": parsed.get("code"), "param": parsed.get("param")}


def _prose(body: bytes) -> Json:
    """The message of a body that is not JSON: plain text is used, HTML is not."""
    text = body.decode("utf-8", "replace").strip()
    return {"message": None if text.startswith("<") else text[:_TOO_LONG], "code": "upstream_error"}


def _status(status: int, error: Json) -> int:
    """The status of an error inside a 200 reply: in `code`, if there is one (OpenRouter, llama.cpp, Google)."""
    if status not in (200, 502):
        return status
    code = error.get("code")
    number = int(code) if isinstance(code, (int, str)) and str(code).isdigit() else 0
    if 400 <= number < 600:
        return number
    return _STATUS_BY_CODE.get(_squashed(code), _STATUS_BY_CODE.get(_squashed(error.get("type")), 502))


def _squashed(name: object) -> str:
    """A name without case and separators: `DataInspectionFailed` equals `data_inspection_failed`."""
    return _BETWEEN.sub("", str(name)).lower()


_BETWEEN = re.compile(r"[\W_]+")
_BY_NAME = {
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "invalid_request": 400,
    "bad_request": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "data_inspection_failed": 400,
    "invalid_parameter": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "authentication": 401,
    "unauthorized": 401,
    "access_denied": 403,
    "forbidden": 403,
    "payment_required": 402,
    "insufficient_balance": 402,
    "arrearage": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "moderation": 403,
    "model_not_found": 404,
    "model_not_exist": 404,
    "not_found_error": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "rate_limited": 429,
    "throttling": 429,
    "throttling_rate_quota": 429,
    "too_many_requests": 429,
    "slow_down": 429,
    "server_error": 500,
    "server_is_overloaded": 503,
    "overloaded_error": 529,
    "service_unavailable": 503,
    "timeout": 504,
    **dict.fromkeys(OUT_OF_MONEY, 429),
}
_STATUS_BY_CODE = {_squashed(name): status for name, status in _BY_NAME.items()}
_REFUSED = frozenset(map(_squashed, REFUSALS))


def _string(value: object) -> str | None:
    return None if value is None or value == "" else value if isinstance(value, str) else str(value)


def scrub(text: str, secret: str = "") -> str:
    """The text without anything that may be a key."""
    if len(secret) >= 6:
        text = text.replace(secret, "***")
    return _KEYS.sub("***", text)


def _scrubbed(extra: Json, secret: str) -> Json:
    if not extra:
        return extra
    text = orjson.dumps(extra).decode()
    clean = scrub(text, secret)
    result: Json = orjson.loads(clean) if clean != text else extra
    return result
