"""JSON bodies of clients and providers, with errors that say what is wrong."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from llmproxy.core.chat import Json, model_spots
from llmproxy.core.errors import BadRequest, Malformed

from .nesting import MAX_NESTING, is_deep

# Every escape of a JSON text: a whole surrogate pair, half of one (the one group), or any other.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


def parse_lenient(data: bytes) -> tuple[Any, bool]:
    """JSON as providers write it, and whether it was JSON to the letter: NaN, which vLLM sends in logprobs, becomes null;
    broken UTF-8 and halves of surrogate pairs are replaced. Raises Malformed."""
    try:
        value, exact = orjson.loads(data), True
    except orjson.JSONDecodeError:
        value, exact = _repaired(data), False
    if is_deep(value, data):
        raise Malformed(f"The provider sent JSON that is nested deeper than {MAX_NESTING} levels.", retry_here=False)
    return value, exact


def _repaired(data: bytes) -> Any:
    try:
        text = _ESCAPE.sub(lambda one: r"\ufffd" if one[1] else one[0], data.decode("utf-8", "replace"))
        return json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise Malformed("The provider sent an event that is not JSON.") from error


def parse_body(raw: bytes) -> Json:
    """The JSON object in a request's body. Raises BadRequest for anything else, NaN and keys said twice included."""
    return parse_object(raw, model_spots(raw))


def parse_object(raw: bytes, spots: tuple[int, ...]) -> Json:
    """As `parse_body`, where `spots` are known: the places of `"model"` in the text."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        where = f" (line {error.lineno}, column {error.colno})" if raw else ""
        raise BadRequest(f"The request's body is not valid JSON{where}.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise BadRequest("The request's body must be a JSON object.", code="invalid_json")
    if is_deep(body, raw):
        raise BadRequest(f"The request's body is nested deeper than {MAX_NESTING} levels.", code="invalid_json")
    if len(spots) > 1:  # rare enough to look closely: two models at the top would be answered by one of them
        _refuse_doubles(raw)
    return body


def _refuse_doubles(raw: bytes) -> None:
    def pairs(members: list[tuple[str, Any]]) -> Json:
        if len(names := dict(members)) != len(members):
            double = next(name for name in names if sum(name == other for other, _ in members) > 1)
            raise BadRequest(f"The member {double!r} stands twice in one object.", code="invalid_json", param=double)
        return names

    try:
        json.loads(raw, object_pairs_hook=pairs)
    except (ValueError, RecursionError):  # Python's parser takes less than orjson: nesting, digits
        raise BadRequest(
            "The request's body is nested too deeply or has too long a number.", code="invalid_json"
        ) from None
