"""JSON bodies of clients and providers, with errors that say what is wrong."""

from __future__ import annotations

import json
from typing import Any

import orjson

from llmproxy.core.chat import Json, model_spots
from llmproxy.core.errors import BadRequest, Malformed

from .half_characters import Halves, whole_characters
from .nesting import MAX_NESTING, is_deep


def parse_lenient(data: bytes, halves: Halves | None = None) -> tuple[Any, bool]:
    """JSON as providers write it, and whether it was JSON to the letter: NaN, which vLLM sends in logprobs, becomes null;
    control characters in texts are taken, broken UTF-8 is replaced, and so are halves of surrogate pairs, unless `halves`
    puts them together with those of the next event. Raises Malformed."""
    try:
        value, exact = orjson.loads(data), True
    except orjson.JSONDecodeError:
        value, exact = _repaired(data), False
    if not exact or (halves is not None and halves.waiting):
        exact = False
        try:
            value = whole_characters(value) if halves is None else halves.join(value)
        except RecursionError as error:
            raise Malformed("The provider sent JSON that is nested too deeply.", retry_here=False) from error
    if is_deep(value, data):
        raise Malformed(f"The provider sent JSON that is nested deeper than {MAX_NESTING} levels.", retry_here=False)
    return value, exact


def _repaired(data: bytes) -> Any:
    try:
        return json.loads(_decoded(data), parse_constant=lambda _: None, strict=False)
    except (ValueError, RecursionError) as error:
        raise Malformed("The provider sent an event that is not JSON.") from error


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")  # CESU-8: the halves of a pair, each as a character
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


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
