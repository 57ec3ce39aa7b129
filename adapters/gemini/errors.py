"""What Gemini's errors mean: google.rpc.Status, whose invalid key is a 400 and whose quota 429s may never pass."""

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
# Used up for longer than anyone would wait, or never granted.
_HOPELESS = re.compile(r"PerDay|PerMonth", re.IGNORECASE)
_BAD_KEY = re.compile(r"API key (?:not valid|expired)")
_NO_KEY = re.compile(r"unregistered callers")
_NO_MODEL = re.compile(r"\bmodels?/\S+ is not found|ListModels|Publisher Model")


def parse_error(status: int, headers: Mapping[str, str], body: bytes, secret: str = "") -> UpstreamError:
    """The error of a reply with this status: an object, a list of one, or what is not Google's at all."""
    error = _google_error(body)
    return _read(error, status, headers, secret) if error else openai_error(status, headers, body, secret)


def in_band(event: Json, secret: str = "") -> UpstreamError:
    """The error that came inside of a 200: its own code is the status."""
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
        # DebugInfo is for Google's own people, and quotes the key.
        "details": [one for one in details if not str(one.get("@type")).endswith("DebugInfo")] or None,
    }
    made = blame(translated, number, headers, secret)
    if error.get("status") == "FAILED_PRECONDITION":  # the place, or billing: of this account, not of the question
        made.try_elsewhere = True
    return made


def _status(error: Json, status: int, details: list[Json]) -> int:
    if any(str(one.get("reason")) in BAD_KEY for one in details) or _BAD_KEY.search(str(error.get("message"))):
        return 401
    if status < 400:
        said = error.get("code")
        status = said if isinstance(said, int) and said >= 400 else GEMINI_STATUS.get(str(error.get("status")), 502)
    return status if status < 600 and status != 499 else 502  # their 499 is not our client's leaving


def _code(error: Json, status: int) -> str:
    if status == 401 or _NO_KEY.search(str(error.get("message"))):
        return "invalid_api_key"
    said = str(error.get("status") or error.get("code") or "upstream_error").lower()
    return "model_not_found" if said == "not_found" and _NO_MODEL.search(str(error.get("message"))) else said


def _violations(details: list[Json]) -> Iterator[Json]:
    for detail in details:
        yield from objects(detail.get("violations"))


def _is_hopeless(violation: Json) -> bool:
    value: Any = violation.get("quotaValue")
    return str(value) == "0" or _HOPELESS.search(str(violation.get("quotaId"))) is not None
