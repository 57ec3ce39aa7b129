"""Parsing of provider errors: status, code, wait, and whether a retry or another provider may help."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.core.chat import Json
from llmproxy.core.errors import UpstreamError
from llmproxy.testing import check_error
from llmproxy.wire.context_overflow import OVERFLOW
from llmproxy.wire.headers import header_safe
from llmproxy.wire.provider_errors import (
    OUT_OF_MONEY,
    REFUSALS,
    in_band,
    parse_error,
    scrub,
)
from llmproxy.wire.retry_after import duration, retry_after
from tests.core.kit import lean

NOW = 1_800_000_000.0


def failed(status: int, error: Any = None, **headers: str) -> UpstreamError:
    body = error if isinstance(error, bytes) else orjson.dumps({"error": error or {"message": "no"}})
    made = parse_error(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
    assert check_error(made.as_bytes()) == []
    return made


# A question that is too long

TOO_LONG = [
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    "Your input exceeds the context window of this model.",
    "request (900 tokens) exceeds the available context size (512 tokens), try increasing it",
    "Context size has been exceeded.",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "Input is too long for requested model.",
    "This model's maximum prompt length is 131072 but the request contains 500000 tokens.",
    "Please reduce the length of the messages or completion.",
    "the input length exceeds the context length",
    "Trying to keep the first 9000 tokens when context the overflows. The context length of only 4096 tokens is not enough.",
    "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
    "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
    "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
    "Your request exceeded model token limit: 131072",
    "Range of input length should be [1, 30720]",
    "input (4002 tokens) is too large to process. increase the physical batch size (current batch size: 512)",
]
NOT_TOO_LONG = [
    "Invalid 'messages[0].content': string too long. Expected a string with maximum length 10485760.",
    "max_tokens is too large: 5000. This model supports at most 4096 completion tokens.",
    "Unknown parameter: context_length",
    "Function name exceeds maximum length",
    "Request payload size exceeds the limit: 20971520 bytes.",
]


@pytest.mark.parametrize("status", [400, 413, 422, 500])
@pytest.mark.parametrize("message", TOO_LONG)
def test_a_question_that_is_too_long_has_one_code_and_another_model_may_answer(status: int, message: str) -> None:
    error = failed(status, {"message": message, "type": "theirs", "code": status})
    assert (error.status, error.code, error.type) == (status, OVERFLOW, "theirs")
    assert (error.retry_here, error.try_elsewhere, error.blames) == (False, True, False)


@pytest.mark.parametrize("message", NOT_TOO_LONG)
def test_other_complaints_about_length_are_not_taken_for_it(message: str) -> None:
    error = failed(400, {"message": message})
    assert (error.code, error.try_elsewhere) == (None, False)


def test_a_quota_of_tokens_is_not_a_question_that_is_too_long() -> None:
    assert failed(429, {"message": "Input tokens exceed the limit per minute"}).retry_here


@pytest.mark.parametrize(
    "error",
    [
        {"type": "exceed_context_size_error", "code": 400},
        {"type": "too_many_prompt_tokens"},
        {"code": "context_length_exceeded"},
        {"message": "refused", "metadata": {"error_type": "context_length_exceeded"}},
        {"message": "Provider returned error", "metadata": {"raw": '{"message":"prompt is too long: 9 tokens > 8"}'}},
    ],
)
def test_a_question_that_is_too_long_is_known_by_any_of_its_names(error: Json) -> None:
    assert failed(400, error).code == in_band({"error": error}).code == OVERFLOW
    assert in_band({"error": error}).status == 400


def test_a_client_does_not_send_again_what_is_too_long_for_a_500() -> None:
    assert failed(500, {"message": TOO_LONG[0]}).headers["x-should-retry"] == "false"


# Refusals


@pytest.mark.parametrize("status", [200, 403, 451, 500, 503])
@pytest.mark.parametrize("code", sorted(REFUSALS))
def test_a_refusal_says_nothing_about_the_providers_health(status: int, code: str) -> None:
    error = in_band({"error": {"code": code}}) if status == 200 else failed(status, {"code": code})
    assert (error.retry_here, error.blames) == (False, False)


def test_a_key_without_a_permission_is_no_refused_key() -> None:
    error = failed(
        401, {"message": "You have insufficient permissions for this operation. Missing scopes: model.request."}
    )
    assert (error.retry_here, error.try_elsewhere, error.blames) == (False, True, False)


def test_a_refused_key_concerns_every_model() -> None:
    assert failed(401).provider_wide
    assert not failed(503).provider_wide


def test_a_model_that_is_not_there_may_be_elsewhere_whatever_the_status() -> None:
    assert failed(400, {"code": "model_not_found"}).try_elsewhere


def test_an_account_without_money_keeps_its_wait() -> None:
    error = failed(402, retry_after="7")
    assert (error.headers["Retry-After"], error.retry_here, error.blames) == ("7", False, False)


# What helps


@pytest.mark.parametrize(
    ("status", "here", "elsewhere", "blames"),
    [
        (400, False, False, False),
        (401, False, True, True),
        (402, False, True, False),
        (403, False, True, False),
        (404, False, True, False),
        (408, True, True, True),
        (409, True, True, False),
        (413, False, False, False),
        (422, False, False, False),
        (425, True, True, True),
        (429, True, True, False),
        (500, True, True, True),
        (501, False, False, False),
        (502, True, True, True),
        (503, True, True, True),
        (504, True, True, True),
        (520, True, True, True),
        (524, True, True, True),
        (529, True, True, True),
    ],
)
def test_a_status_decides_what_may_help(status: int, here: bool, elsewhere: bool, blames: bool) -> None:
    error = failed(status)
    assert (error.status, error.retry_here, error.try_elsewhere, error.blames) == (status, here, elsewhere, blames)


@pytest.mark.parametrize("code", sorted(OUT_OF_MONEY))
@pytest.mark.parametrize("member", ["code", "type"])
def test_an_empty_account_is_not_asked_again_but_another_provider_is(code: str, member: str) -> None:
    error = failed(429, {"message": "Pay first.", member: code}, retry_after="1")
    assert (error.status, error.retry_here, error.try_elsewhere, error.blames) == (429, False, True, False)


@pytest.mark.parametrize("code", sorted(OUT_OF_MONEY))
def test_an_empty_account_is_known_also_inside_a_stream(code: str) -> None:
    error = in_band({"error": {"message": "Pay first.", "code": code}})
    assert (error.status, error.retry_here) == (429, False)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 429}, 429),
        ({"code": "503"}, 503),
        ({"code": 200}, 502),
        ({"code": None}, 502),
        ({"code": "rate_limit_exceeded"}, 429),
        ({"code": "server_is_overloaded"}, 503),
        ({"type": "overloaded_error"}, 529),
        ({"type": "invalid_request_error", "code": None}, 400),
        ({"code": True}, 502),
        ({"code": {"a": 1}}, 502),
    ],
)
def test_an_error_inside_a_200_says_its_status_itself(error: Json, status: int) -> None:
    assert in_band({"error": {"message": "no", **error}}).status == status


# What it says


def test_all_that_the_provider_said_is_kept() -> None:
    error = failed(
        400,
        {
            "message": "No.",
            "type": "invalid_request_error",
            "param": "n",
            "code": "bad",
            "metadata": {"raw": 1},
            "x": None,
        },
    )
    assert error.as_json()["error"] == {
        "message": "No.",
        "type": "invalid_request_error",
        "param": "n",
        "code": "bad",
        "metadata": {"raw": 1},
    }


@pytest.mark.parametrize(("code", "told"), [(1234, "1234"), ("x", "x"), (None, None), ("", None), (0, "0")])
def test_a_code_is_text_or_nothing(code: Any, told: str | None) -> None:
    assert failed(400, {"message": "no", "code": code}).code == told


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'[{"error": {"message": "listed"}}]', "listed"),
        (b'{"error": "text"}', "text"),
        (b'{"message": "flat", "code": "x"}', "flat"),
        (b'{"detail": "of FastAPI"}', "of FastAPI"),
        (b'{"detail": [{"loc": ["body"]}]}', '[{"loc":["body"]}]'),
        (b"upstream request timeout", "upstream request timeout"),
        (b'"a string"', "a string"),
    ],
)
def test_the_message_is_found_in_any_dress(body: bytes, message: str) -> None:
    assert failed(500, body).message == message


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>502</body></html>",
        b"  <!DOCTYPE html>",
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"error": null}',
        b"{}",
    ],
)
def test_a_body_that_says_nothing_gets_a_message_of_ours(body: bytes) -> None:
    error = failed(502, body)
    assert "<" not in error.message
    assert error.message


def test_a_long_text_is_cut() -> None:
    assert len(failed(500, b"x" * 10_000).message) <= 500


MEMBERS = ["error", "message", "code", "type", "param", "details", "retryDelay", "metadata", "headers", "retry_after"]
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 600), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from([*MEMBERS, "availability"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.one_of(st.binary(max_size=40), ANYTHING.map(orjson.dumps)), st.sampled_from([400, 401, 429, 500, 503, 529]))
@lean
def test_whatever_comes_is_an_error_of_openais_shape(body: bytes, status: int) -> None:
    assert check_error(parse_error(status, {}, body).as_bytes()) == []


# Keys


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcdefghijkl123",
        "sk-or-v1-0123456789abcdef",
        "pplx-0123456789abcdef",
        "AIzaSyA0123456789abcdefghijk",
        "AQ.Ab8RN6abcdefghijklmnop",
    ],
)
def test_what_looks_like_a_key_is_hidden(key: str) -> None:
    error = failed(401, {"message": f"Incorrect API key provided: {key}.", "metadata": {"raw": f"key={key}"}})
    assert key not in error.as_bytes().decode()
    assert error.message.startswith("Incorrect API key provided: ***")


def test_our_key_is_hidden_whatever_it_looks_like() -> None:
    body = orjson.dumps({"error": {"message": "bad: hunter22", "metadata": {"raw": 'the "hunter22"'}}})
    error = parse_error(401, {}, body, "hunter22")
    assert b"hunter22" not in error.as_bytes()
    assert error.extra == {"metadata": {"raw": 'the "***"'}}


@pytest.mark.parametrize("text", ["task-oriented", "ask sk-short", "", "the risk-free-0123456789"])
def test_other_text_is_left_alone(text: str) -> None:
    assert scrub(text, "key") == text


def test_a_header_is_printable_and_short() -> None:
    assert header_safe("a\r\nSet-Cookie: é" + "x" * 500).startswith("a??Set-Cookie: ?")
    assert len(header_safe("x" * 500)) == 200


# When to ask again


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": " 3 "}, 3.0),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"retry-after": "6m0s"}, 360.0),
        ({"retry-after": "1h2m3.5s"}, 3723.5),
        ({"retry-after": "12ms"}, 0.012),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "2500", "retry-after": "1"}, 2.5),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "0"}, 1.0),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-remaining-requests": "10"}, None),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "0",
            },
            360.0,
        ),
        ({"x-ratelimit-reset": str(int((NOW + 20) * 1000))}, 20.0),
        ({"x-ratelimit-reset": str(int(NOW + 20))}, 20.0),
        ({"x-ratelimit-reset": "20"}, 20.0),
        ({"x-ratelimit-reset": "later"}, None),
        ({"retry-after": "2", "x-ratelimit-reset": "20"}, 2.0),
    ],
)
def test_a_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, None, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        ({"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}]}, 34.4),
        ({"details": [{"@type": "x"}, {"retryDelay": "1s"}]}, 1.0),
        ({"availability": {"retryable": True, "retry_after": 12}}, 12.0),
        (
            {"metadata": {"headers": {"X-RateLimit-Reset": str(int((NOW + 5) * 1000)), "X-RateLimit-Remaining": "0"}}},
            5.0,
        ),
        ({"details": "no", "availability": 1, "metadata": []}, None),
    ],
)
def test_a_wait_may_stand_in_the_body(error: Json, seconds: float | None) -> None:
    assert retry_after({}, error, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h1m1s", 3661.0), ("34.4s", 34.4), ("5us", 5e-6), ("1", None), ("s", None), ("1s!", None), ("", None)],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration(text) == pytest.approx(seconds)


def test_the_client_is_told_whole_seconds_rounded_up() -> None:
    assert failed(429, retry_after="1.2").headers == {"Retry-After": "2"}
    assert failed(503, retry_after_ms="10").headers == {"Retry-After": "1"}


def test_a_wait_counts_only_where_waiting_helps() -> None:
    error = failed(400, retry_after="5")
    assert (error.wait, error.headers) == (None, {})


@given(
    st.text(max_size=30),
    st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-reset-tokens"]),
)
@lean
def test_no_header_breaks_the_reading(value: str, name: str) -> None:
    wait = retry_after({name: value}, None, NOW)
    assert wait is None or wait >= 0
