"""What a provider's error means: its status, body and headers read into an UpstreamError. For the OpenAI dialect and its kin.

Sources of the rules: recorded 4xx and 5xx bodies of five providers, OpenAI's error guide, google.rpc.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import orjson

from llmproxy.core.chat import Json
from llmproxy.core.errors import UpstreamError, type_of

from .context_overflow import is_overflow, overflow
from .nesting import is_deep

RETRY_HERE = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529))
NOT_ELSEWHERE = frozenset((400, 411, 413, 414, 415, 422, 431, 501))
# A refusal (moderation, permission, money, a model that is not there) says nothing about the provider's health; a refused key does.
BLAMED = frozenset((401, 408, 425))
_ASKED_TO_WAIT = RETRY_HERE | {402}
# What moderation and permissions are called: it is about this request or this key, under whatever status it comes.
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
)  # OpenAI says 401 for it
# A 429 of this kind does not go away by waiting.
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
_TOO_LONG = 500  # characters of a text that was no JSON
_KEYS = re.compile(r"\b(?:sk-[A-Za-z0-9_-]{12,}|pplx-[A-Za-z0-9]{12,}|AIza[A-Za-z0-9_-]{20,}|AQ\.[A-Za-z0-9_-]{20,})")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_OURS = frozenset(("message", "type", "param", "code"))


def parse_error(status: int, headers: Mapping[str, str], body: bytes, secret: str = "") -> UpstreamError:
    """The error of a reply with this status. `secret` is the key we sent, which must not come back in a message."""
    error = _error_object(body)
    return blame(error, _status(status, error), headers, secret)


def in_band(chunk: Json, secret: str = "") -> UpstreamError:
    """The error that came inside a stream or a 200 reply: `{"error": {...}}` or `{"error": "text"}`."""
    error = _as_error(chunk)
    return blame(error, _status(502, error), {}, secret)


def blame(error: Json, status: int, headers: Mapping[str, str], secret: str = "") -> UpstreamError:
    code, kind = _string(error.get("code")), _string(error.get("type"))
    wait = retry_after(headers, error) if status in _ASKED_TO_WAIT else None
    spent = code in OUT_OF_MONEY or kind in OUT_OF_MONEY
    message = _string(error.get("message")) or f"The provider answered with HTTP status {status}."
    final = spent or not REFUSALS.isdisjoint((code, kind)) or (status == 401 and bool(_NOT_PERMITTED.search(message)))
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


def _word(said: str | None, secret: str) -> str | None:
    """What should be a name and is whatever the provider made of it; it goes into log lines too."""
    return None if said is None else scrub(said[:_NAME], secret)


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
    message = error or parsed.get("message") or parsed.get("detail")
    if isinstance(message, (dict, list)):  # FastAPI lists what it found wrong
        message = orjson.dumps(message).decode()
    return {"message": message, "type": parsed.get("type"), "code": parsed.get("code"), "param": parsed.get("param")}


def _prose(body: bytes) -> Json:
    """A body that is no JSON: plain text is the message, of a web page nothing is kept."""
    text = body.decode("utf-8", "replace").strip()
    return {"message": None if text.startswith("<") else text[:_TOO_LONG], "code": "upstream_error"}


def _status(status: int, error: Json) -> int:
    """An error inside a 200 says its status in `code`, if anywhere (OpenRouter, llama.cpp, Google)."""
    if status not in (200, 502):
        return status
    code = error.get("code")
    number = int(code) if isinstance(code, (int, str)) and str(code).isdigit() else 0
    if 400 <= number < 600:
        return number
    return _STATUS_BY_CODE.get(str(code), _STATUS_BY_CODE.get(str(error.get("type")), 502))


_STATUS_BY_CODE = {
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "invalid_request": 400,
    "bad_request": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "authentication": 401,
    "payment_required": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "moderation": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "slow_down": 429,
    "server_error": 500,
    "server_is_overloaded": 503,
    "overloaded_error": 529,
    **dict.fromkeys(OUT_OF_MONEY, 429),
}


def _string(value: object) -> str | None:
    return None if value is None or value == "" else value if isinstance(value, str) else str(value)


def scrub(text: str, secret: str = "") -> str:
    """The text without anything that looks like a key."""
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


def retry_after(headers: Mapping[str, str], error: Json | None = None, now: float | None = None) -> float | None:
    """Seconds to wait as the provider says it, in any of the forms met; None if it does not say.

    Azure sends `retry-after-ms: 0` beside `retry-after: 1` (recorded): the longer one counts.
    """
    found = [_number(headers.get("retry-after-ms"), 1e-3), _retry_after(headers.get("retry-after"), now)]
    said = [wait for wait in found if wait is not None]
    if said:
        return max(said)
    return _from_body(error or {}, now) or _from_limits(headers, now)


def _number(text: str | None, unit: float = 1.0) -> float | None:
    try:
        value = float(text) * unit if text else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) and value >= 0 else None


def _retry_after(text: str | None, now: float | None) -> float | None:
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    if (length := duration(text)) is not None:
        return length
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - (now or time.time()))
    except ValueError:
        return None


def duration(text: str) -> float | None:
    """Seconds of a Go or Google duration: `6m0s`, `12ms`, `34.4s`."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _from_body(error: Json, now: float | None) -> float | None:
    """google.rpc.RetryInfo, OpenRouter's `metadata.headers` and `availability.retry_after`."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and isinstance(detail.get("retryDelay"), str):
            return duration(detail["retryDelay"])
    availability = error.get("availability")
    if isinstance(availability, dict) and isinstance(availability.get("retry_after"), (int, float)):
        return float(availability["retry_after"])
    metadata = error.get("metadata")
    inner = metadata.get("headers") if isinstance(metadata, dict) else None
    if isinstance(inner, dict):
        return _from_limits({str(key).lower(): str(value) for key, value in inner.items()}, now)
    return None


def _from_limits(headers: Mapping[str, str], now: float | None) -> float | None:
    """Resets of limits that are used up: OpenAI's Go durations, OpenRouter's epoch in milliseconds."""
    waits: list[float] = []
    for kind in ("-requests", "-tokens", ""):
        reset = headers.get(f"x-ratelimit-reset{kind}")
        if reset and headers.get(f"x-ratelimit-remaining{kind}", "0") in ("0", ""):
            waits.extend(_reset(reset, now))
    return max(waits, default=None)


def _reset(text: str, now: float | None) -> list[float]:
    if (length := duration(text)) is not None:
        return [length]
    number = _number(text)
    if number is None:
        return []
    if number > 1e9:  # an instant, in seconds or milliseconds
        number = (number / 1000 if number > 1e11 else number) - (now or time.time())
    return [max(0.0, number)]
