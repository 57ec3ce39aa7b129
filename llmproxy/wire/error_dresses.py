"""Recognises errors that are not in OpenAI's form, mostly with status 200.

Sources: the references of DashScope, MiniMax, Baidu, iFlytek, Zhipu, SiliconFlow and Cloudflare, FastAPI, public reports.
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
_FINE = frozenset(("", "0", "200", "ok", "success", "succeeded", "true", "none", "null", "00000"))  # of codes
_FAILED = frozenset(("error", "err", "failed", "fail", "failure", "exception", "rejected"))  # of a status
_SIGNS = frozenset((*_TEXTS, *_CODES, "base_resp", "errors", "status", "success"))  # no error has none of them
# Members that an answer has: where one of them stands, a text alone is no error.
_OF_ANSWERS = frozenset(("id", "object", "choices", "usage", "created", "model", "data", "candidates", "type"))
# MiniMax's numbers, by what they mean.
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
# What words mean where nobody said a status: the first row that fits.
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
    """The error, if this is one although it is not written as `{"error": ...}`; OpenAI's members as far as they are said.

    by_words: a text alone is one too. Not where the provider has names of its own: `reason` may be how its answers end.
    """
    if _SIGNS.isdisjoint(answer):  # as nearly every event is
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
    """Of a list of errors, all texts, and the first one's code."""
    several = errors if isinstance(errors, list) else list(errors.values()) if isinstance(errors, dict) else [errors]
    first = next((one for one in several if isinstance(one, dict)), answer)
    texts = [_text(one) if isinstance(one, dict) else str(one) for one in several]
    code = next((first[key] for key in _CODES if _is_code(first.get(key))), None)
    made = _error(first, code)
    return {**made, "message": "; ".join(filter(None, texts)) or made["message"]}


def _error(said: Json, code: Any) -> Json:
    kind = said.get("type")
    known = {"message": _text(said) or None, "code": code, "param": said.get("param")}
    return {**known, "type": kind if isinstance(kind, str) and kind != "error" else None}


def _text(said: Mapping[str, Any]) -> str:
    found = next((said[key] for key in _TEXTS if isinstance(said.get(key), str | list | dict) and said[key]), "")
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
    """The status and the code that the words of an error mean; None where they say nothing."""
    return next(((status, code) for words, status, code in _MEANING if words.search(message[:1000])), None)
