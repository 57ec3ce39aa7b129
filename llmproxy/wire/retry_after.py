"""Parses the time to wait before a retry, in every form that providers use."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from llmproxy.core.chat import Json

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def retry_after(headers: Mapping[str, str], error: Json | None = None, now: float | None = None) -> float | None:
    """Seconds to wait as the provider asks, in any known form; None if it does not.

    Azure sends `retry-after-ms: 0` and `retry-after: 1` together (recorded): the longer one is used.
    """
    found = [_number(headers.get("retry-after-ms"), 1e-3), _retry_after(headers.get("retry-after"), now)]
    known = [wait for wait in found if wait is not None]
    if known:
        return max(known)
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
    """Reset times of exhausted limits: OpenAI's Go durations, OpenRouter's epoch in milliseconds."""
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
    if number > 1e9:  # a point in time, in seconds or milliseconds
        number = (number / 1000 if number > 1e11 else number) - (now or time.time())
    return [max(0.0, number)]
