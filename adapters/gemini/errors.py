"""Parses Gemini's errors (google.rpc.Status). An invalid key is a 400 there, and some 429s mean that no quota exists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from llmproxy.adapter_kit import GEMINI_STATUS, Json, UpstreamError, blame
from llmproxy.adapter_kit import in_band as openai_in_band
from llmproxy.adapter_kit import parse_error as openai_error

from .json_types import objects

BAD_KEY = frozenset(("API_KEY_INVALID", "API_KEY_EXPIRED", "ACCESS_TOKEN_EXPIRED", "ACCESS_TOKEN_TYPE_UNSUPPORTED"))
# Quotas for which waiting does not help: per day, or never granted.
_HOPELESS = re.compile(r"PerDay|PerMonth", re.IGNORECASE)
_BAD_KEY = re.compile(r"API key (?:not valid|expired)")
_NO_KEY = re.compile(r"unregistered callers")
_NO_MODEL = re.compile(r"\bmodels?/\S+ is not found|ListModels|Publisher Model")


def parse_error(status: int, headers: Mapping[str, str], body: bytes, secret: str = "") -> UpstreamError:
    """The error for an HTTP error reply. body: Google's object, a list of one, or text of a proxy in between."""
    error = _google_error(body)
    return _read(error, status, headers, secret) if error else openai_error(status, headers, body, secret)


def in_band(event: Json, secret: str = "") -> UpstreamError:
    """The error for an event in a reply with status 200; its `code` is the status."""
    error = event.get("error")
    return _read(error, 200, {}, secret) if isinstance(error, dict) else openai_in_band(event, secret)


def _google_error(body: bytes) -> Json:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(parsed, list):
        parsed = parsed[0] if parsed else {}
    error = parsed.get("error") if isinstance(parsed, dict) else None
    return error if isinstance(error, dict) else {}


def _read(error: Json, status: int, headers: Mapping[str, str], secret: str) -> UpstreamError:
    details = objects(error.get("details"))
    number = _status(error, status, details)
    translated: Json = {
        "message": error.get("message"),
        "code": _code(error, number),
        "type": "insufficient_quota" if number == 429 and any(map(_is_hopeless, _violations(details))) else None,
        "status": error.get("status"),
        # DebugInfo contains the API key.
        "details": [one for one in details if not str(one.get("@type")).endswith("DebugInfo")] or None,
    }
    made = blame(translated, number, headers, secret)
    if error.get("status") == "FAILED_PRECONDITION":  # region or billing: a problem of the account, not of the request
        made.try_elsewhere = True
    return made


def _status(error: Json, status: int, details: list[Json]) -> int:
    if any(str(one.get("reason")) in BAD_KEY for one in details) or _BAD_KEY.search(str(error.get("message"))):
        return 401
    if status < 400:
        code = error.get("code")
        status = code if isinstance(code, int) and code >= 400 else GEMINI_STATUS.get(str(error.get("status")), 502)
    return status if status < 600 and status != 499 else 502  # a 499 from Google is not a disconnect of the client


def _code(error: Json, status: int) -> str:
    if status == 401 or _NO_KEY.search(str(error.get("message"))):
        return "invalid_api_key"
    code = str(error.get("status") or error.get("code") or "upstream_error").lower()
    return "model_not_found" if code == "not_found" and _NO_MODEL.search(str(error.get("message"))) else code


def _violations(details: list[Json]) -> Iterator[Json]:
    for detail in details:
        yield from objects(detail.get("violations"))


def _is_hopeless(violation: Json) -> bool:
    value: Any = violation.get("quotaValue")
    return str(value) == "0" or _HOPELESS.search(str(violation.get("quotaId"))) is not None
