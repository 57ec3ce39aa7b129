"""Converts arguments and results of tools to objects that Gemini accepts, with exact integers."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from llmproxy.adapter_kit import BadRequest, Json

_EXACT = 2**53  # a google.protobuf.Struct has doubles: larger integers are rounded
_LONG = re.compile(r"\d{16,}")
_DEEPEST = 100
_FAILED = "Error: "  # how a chat says that a tool failed


def arguments(given: Any, where: str) -> Json:
    """The arguments of a call. Invalid JSON becomes the text of one member, because OpenAI accepts such a history too."""
    if given is None or given == "":
        return {}
    if isinstance(given, dict):
        written: Json = _written(given)
        return written
    if not isinstance(given, str):
        raise BadRequest(f"{where} must be a JSON object.", param=where)
    parsed = _parsed(given) if given.strip() else {}
    return parsed if isinstance(parsed, dict) else {"arguments": given}


def response(text: str) -> Json:
    """The result of a tool; one that begins with `Error: ` is Gemini's `error`. Gemini takes a `$ref` in it for its own
    reference to media, so then it is sent as text.
    """
    if text.startswith(_FAILED):
        return {"error": text.removeprefix(_FAILED)}
    parsed = _parsed(text)
    return parsed if isinstance(parsed, dict) and not _refers(parsed) else {"output": text}


def _refers(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_refers, value))
    return isinstance(value, dict) and ("$ref" in value or any(map(_refers, value.values())))


def _parsed(text: str) -> Any:
    """The JSON value, with integers that would be rounded as text; None if it is not JSON, or nested too deep."""
    try:
        return _written(json.loads(text)) if _LONG.search(text) else orjson.loads(text)
    except (ValueError, RecursionError):
        return None


def _written(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, dict):
        return {key: _written(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_written(one, depth + 1) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
        return str(value)
    return value
