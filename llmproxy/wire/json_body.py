"""JSON bodies of clients and providers, with errors that say what is wrong."""

from __future__ import annotations

import json
from typing import Any

import orjson

from llmproxy.core.chat import Json, model_spots
from llmproxy.core.errors import BadRequest, Malformed

from . import crowded_json
from .half_characters import Halves, whole_characters
from .nesting import MAX_NESTING, is_deep

LARGE = 1024 * 1024  # bytes; a larger body is parsed in a thread


def parse_lenient(data: bytes, halves: Halves | None = None) -> tuple[Any, bool]:
    """Parses JSON leniently, as providers write it. Also returns whether it was strictly valid. NaN, which vLLM sends in
    logprobs, becomes null; control characters in texts are accepted, invalid UTF-8 is replaced. Single surrogates are
    replaced, unless `halves` joins them with those of the next event. Raises Malformed.
    """
    try:
        value, exact = orjson.loads(data), True
    except orjson.JSONDecodeError:
        value, exact = _repaired(data), False
    if not exact or (halves is not None and halves.held):
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
        return data.decode("utf-8", "surrogatepass")  # CESU-8: each half of a pair is encoded as a character
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def is_crowded(raw: bytes) -> bool:
    """Whether a body has so many members, objects and lists that parsing it takes seconds, and leaves time to others."""
    return len(raw) >= LARGE and crowded_json.crowd(raw) > crowded_json.CROWDED


def parse_body(raw: bytes) -> Json:
    """The JSON object of a request body. Raises BadRequest for anything else, also for NaN and duplicate keys."""
    return parse_object(raw, model_spots(raw))


def parse_object(raw: bytes, spots: tuple[int, ...]) -> Json:
    """As `parse_body`, with the known positions of `"model"` in the text."""
    try:
        body = _crowded(raw) if len(raw) >= LARGE and is_crowded(raw) else orjson.loads(raw)
    except ValueError as error:
        where = ""
        if raw and isinstance(error, json.JSONDecodeError):
            where = f" (line {error.lineno}, column {error.colno})"
        raise BadRequest(f"The request's body is not valid JSON{where}.", code="invalid_json") from None
    if type(body) is not dict:
        raise BadRequest("The request's body must be a JSON object.", code="invalid_json")
    if is_deep(body, raw):
        raise BadRequest(f"The request's body is nested deeper than {MAX_NESTING} levels.", code="invalid_json")
    if len(spots) > 1:  # rare, so a closer look is affordable: of two models at the top level, one would be ignored
        _refuse_doubles(raw)
    return body


def _crowded(raw: bytes) -> Any:
    if crowded_json.crowd(raw) > crowded_json.MOST:
        most = f"{crowded_json.MOST:,}"
        raise BadRequest(
            f"The request's body has more than {most} members and lists.", status=413, code="request_too_large"
        )
    return crowded_json.loads(raw)


def _refuse_doubles(raw: bytes) -> None:
    def refuse(name: str) -> None:
        raise BadRequest(f"The member {name!r} is in one object twice.", code="invalid_json", param=name)

    def pairs(members: list[tuple[str, Any]]) -> Json:
        if len(names := dict(members)) != len(members):
            refuse(next(name for name in names if sum(name == other for other, _ in members) > 1))
        return names

    try:
        if is_crowded(raw):
            crowded_json.loads(raw, refuse)
        else:
            json.loads(raw, object_pairs_hook=pairs)
    except (ValueError, RecursionError):  # Python's parser has lower limits than orjson for nesting and digits
        raise BadRequest(
            "The request's body is nested too deeply or has too long a number.", code="invalid_json"
        ) from None
