"""What Gemini's errors become, and whether another try may help."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from llmproxy.adapters.gemini import Gemini

from llmproxy.core.adapter import Account
from llmproxy.core.errors import UpstreamError

KEY = "AIzaSyA-0123456789abcdefghijklmnopqrstu"


def body(status: str, message: str = "no", code: int = 400, **members: Any) -> bytes:
    return orjson.dumps({"error": {"code": code, "message": message, "status": status, **members}})


def failed(status: int, body: bytes, headers: dict[str, str] | None = None) -> UpstreamError:
    error: UpstreamError = Gemini(Account("gemini", api_key=KEY)).error(status, headers or {}, body)
    return error


def quota(id: str, value: str = "100", delay: str | None = "34.4s") -> list[dict[str, Any]]:
    failure = {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": id, "quotaValue": value}],
    }
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return [failure, *([retry] if delay else [])]


def info(reason: str) -> list[dict[str, str]]:
    return [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]


@pytest.mark.parametrize(
    ("status", "reply"),
    [
        (400, body("INVALID_ARGUMENT", "API key not valid.", details=info("API_KEY_INVALID"))),
        (401, body("UNAUTHENTICATED")),
    ],
)
def test_a_bad_key_is_a_401_whatever_google_calls_it(status: int, reply: bytes) -> None:
    error = failed(status, reply)
    assert (error.status, error.code, error.type, error.retry_here) == (
        401,
        "invalid_api_key",
        "authentication_error",
        False,
    )


def test_a_missing_key_keeps_its_403_and_has_the_same_code() -> None:
    error = failed(403, body("PERMISSION_DENIED", "Method doesn't allow unregistered callers", 403))
    assert (error.status, error.code, error.blames) == (403, "invalid_api_key", False)


@pytest.mark.parametrize(
    ("status", "grpc", "code", "here", "elsewhere"),
    [
        (400, "INVALID_ARGUMENT", "invalid_argument", False, False),
        (403, "PERMISSION_DENIED", "permission_denied", False, True),
        (500, "INTERNAL", "internal", True, True),
        (503, "UNAVAILABLE", "unavailable", True, True),
        (504, "DEADLINE_EXCEEDED", "deadline_exceeded", True, True),
    ],
)
def test_statuses(status: int, grpc: str, code: str, here: bool, elsewhere: bool) -> None:
    error = failed(status, body(grpc))
    assert (error.status, error.code, error.retry_here, error.try_elsewhere) == (status, code, here, elsewhere)
    assert error.extra["status"] == grpc


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("models/x is not found for API version v1beta, or is not supported for generateContent.", "model_not_found"),
        ("Not found: cache content metadata 8754.", "not_found"),
    ],
)
def test_a_missing_model_is_told_from_another_missing_thing(message: str, code: str) -> None:
    assert failed(404, body("NOT_FOUND", message)).code == code


def test_a_limit_per_minute_says_how_long_to_wait() -> None:
    error = failed(429, body("RESOURCE_EXHAUSTED", details=quota("RequestsPerMinutePerModel")))
    assert (error.status, error.type, error.retry_here) == (429, "rate_limit_error", True)
    assert error.wait == pytest.approx(34.4)
    assert error.headers == {"Retry-After": "35"}


@pytest.mark.parametrize(("id", "value"), [("GenerateRequestsPerDayPerModel", "50"), ("RequestsPerMinute", "0")])
def test_a_quota_that_waiting_does_not_fill_is_not_asked_again(id: str, value: str) -> None:
    error = failed(429, body("RESOURCE_EXHAUSTED", details=quota(id, value)))
    assert (error.type, error.retry_here, error.try_elsewhere) == ("insufficient_quota", False, True)


def test_a_list_of_one_error_is_that_error() -> None:
    assert failed(503, b"[" + body("UNAVAILABLE", "busy") + b"]").message == "busy"


@pytest.mark.parametrize("reply", [b"", b"<html><h1>502</h1></html>", b"upstream gone", b"[]", b"7", b'{"error":"x"}'])
def test_a_body_that_is_not_googles_still_has_its_status(reply: bytes) -> None:
    error = failed(502, reply)
    assert (error.status, error.retry_here) == (502, True)
    assert "<" not in error.message


def test_their_cancelled_is_not_our_clients_leaving() -> None:
    assert failed(499, body("CANCELLED", code=499)).status == 502


def test_no_key_comes_back() -> None:
    debug = [{"@type": "type.googleapis.com/google.rpc.DebugInfo", "detail": "Invalid API key: AIzv00G7"}]
    error = failed(400, body("INVALID_ARGUMENT", f"bad key {KEY}", details=[*info(KEY), *debug]))
    assert KEY not in str(error.as_json())
    assert "AIzv00G7" not in str(error.as_json())
