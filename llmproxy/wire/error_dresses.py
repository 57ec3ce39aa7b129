"""Recognises errors that are not in OpenAI's form; most come with status 200.

Sources: the API references of DashScope, MiniMax, Baidu, iFlytek, Zhipu, SiliconFlow and Cloudflare, FastAPI, public reports.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from llmproxy.core.chat import Json

_TEXTS = (
    "message", "msg", "error_msg", "errorMessage", "error_message", "err_msg", "errmsg", "status_msg", "detail", "details",
    "error_description", "description", "reason", "title",
)  # fmt: skip
_CODES = ("code", "error_code", "errorCode", "err_code", "errcode", "status_code", "statusCode", "errno")
_FINE = frozenset(
    ("", "0", "200", "ok", "success", "succeeded", "true", "none", "null", "00000")
)  # codes that mean success
_FAILED = frozenset(
    ("error", "err", "failed", "fail", "failure", "exception", "rejected")
)  # values of a status that mean failure
SIGNS = frozenset(
    (*_TEXTS, *_CODES, "base_resp", "errors", "status", "success")
)  # every error has at least one of these
# Members of a real answer: if one of them is present, a text alone is not an error.
_OF_ANSWERS = frozenset(("id", "object", "choices", "usage", "created", "model", "data", "candidates", "type"))
# MiniMax's error numbers by meaning.
_MINIMAX = {
    1001: "timeout",
    1002: "rate_limit_exceeded",
    1004: "invalid_api_key",
    1008: "insufficient_balance",
    1026: "content_filter",
    1027: "content_filter",
    1039: "rate_limit_exceeded",
    1041: "rate_limit_exceeded",
    2013: "invalid_request_error",
    2049: "invalid_api_key",
    2056: "rate_limit_exceeded",
}
# Meaning of an error text without a status: the first row that matches.
_MEANING: tuple[tuple[re.Pattern[str], int, str], ...] = tuple(
    (re.compile(words, re.IGNORECASE), status, code)
    for words, status, code in (
        (r"balance|insufficient (?:quota|credit|fund)|arrear|overdue|payment|out of credit|billing|recharge",
         402, "insufficient_quota"),
        (r"rate.?limit|too many requests|\b[qrt]p[ms]\b|quota|throttl|frequency", 429, "rate_limit_exceeded"),
        (r"overload|busy|capacity|temporarily|try again later|unavailable|warming up|loading", 503, "server_is_overloaded"),
        (r"(?:api.?key|token|credential|signature)\b.{0,40}\b(?:invalid|incorrect|expired|wrong|missing|not (?:valid|found))"
         r"|(?:invalid|incorrect|expired|wrong|missing|no) (?:api.?key|token|credential|signature)"
         r"|unauthori[sz]ed|authenticat", 401, "invalid_api_key"),
        (r"inappropriate|sensitive|inspection|content.{0,20}(?:filter|polic|risk)|moderat|safety|prohibited|violat",
         400, "content_filter"),
        (r"permission|forbidden|not allowed|access denied|no access", 403, "permission_denied"),
        (r"model\b.{0,60}\b(?:not (?:exist|found|support)|does ?n.?t exist|unknown|no such)|(?:unknown|no such|invalid) model"
         r"|model_not_found", 404, "model_not_found"),
        (r"invalid|must (?:be|not|have)|required|missing|malformed|unsupported|not support|illegal|bad request|param"
         r"|too (?:long|large|many)|exceed|expected", 400, "invalid_request_error"),
        (r"time.?out|timed out", 504, "timeout"),
    )
)  # fmt: skip


def disguised(answer: Json, *, by_words: bool = True) -> Json | None:
    """The error, if the object is an error that is not written as `{"error": ...}`, with the members of OpenAI's form that are
    known.

    by_words: a text alone counts as an error too. Not used for providers with names of their own, where `reason` may be a
    finish reason.
    """
    if SIGNS.isdisjoint(answer):  # true for nearly every event
        return None
    base = answer.get("base_resp")  # MiniMax
    if isinstance(base, dict) and _is_code(number := base.get("status_code")):
        return _error(base, _MINIMAX.get(number, number) if isinstance(number, int) else number)
    if answer.get("choices"):
        return None
    if errors := answer.get("errors"):
        return _listed(errors, answer)
    code = next((answer[key] for key in _CODES if _is_code(answer.get(key))), None)
    if code is None and _is_failed(answer.get("status")):
        code = answer["status"]
    if answer.get("success") is False or (code is not None and _text(answer)):
        return _error(answer, code)
    return _error(answer, None) if by_words and _text(answer) and _OF_ANSWERS.isdisjoint(answer) else None


def _listed(errors: Any, answer: Json) -> Json:
    """For a list of errors: all texts, and the code of the first one."""
    several = errors if isinstance(errors, list) else list(errors.values()) if isinstance(errors, dict) else [errors]
    first = next((one for one in several if isinstance(one, dict)), answer)
    texts = [_text(one) if isinstance(one, dict) else str(one) for one in several]
    code = next((first[key] for key in _CODES if _is_code(first.get(key))), None)
    made = _error(first, code)
    return {**made, "message": "; ".join(filter(None, texts)) or made["message"]}


def _error(event: Json, code: Any) -> Json:
    kind = event.get("type")
    known = {"message": _text(event) or None, "code": code, "param": event.get("param")}
    return {**known, "type": kind if isinstance(kind, str) and kind != "error" else None}


def _text(event: Mapping[str, Any]) -> str:
    found = next((event[key] for key in _TEXTS if isinstance(event.get(key), str | list | dict) and event[key]), "")
    return found if isinstance(found, str) else orjson.dumps(found).decode()


def _is_code(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return False
    return str(value).strip().lower() not in _FINE


def _is_failed(value: Any) -> bool:
    if isinstance(value, str):
        return value.lower() in _FAILED or (value.isdigit() and int(value) >= 400)
    return isinstance(value, int) and not isinstance(value, bool) and value >= 400


def meant(message: str) -> tuple[int, str] | None:
    """The status and the code that an error text means; None if it means nothing known."""
    return next(((status, code) for words, status, code in _MEANING if words.search(message[:1000])), None)
