"""A request's bytes read into a Chat: what the gateway needs is checked, everything else travels on unseen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from llmproxy.core.chat import Chat, Face, Json, Trace, model_spots
from llmproxy.core.errors import BadRequest

_MAX_CHOICES = 128
_MAX_STOPS = 64
# What JSON's types become in Python; `logprobs` is a number where the old completions are asked for.
_KINDS: dict[str, tuple[frozenset[type], str]] = {
    "stream": (frozenset((bool,)), "true or false"),
    "logprobs": (frozenset((bool, int)), "true or false"),
    "stream_options": (frozenset((dict,)), "an object"),
    "tools": (frozenset((list,)), "a list"),
    "max_tokens": (frozenset((int, float)), "a number"),
    "max_completion_tokens": (frozenset((int, float)), "a number"),
    "n": (frozenset((int,)), "a whole number"),
}


def parse_body(raw: bytes) -> Json:
    """The JSON object in a request's body. Raises BadRequest for anything else, NaN and keys said twice included."""
    return _parsed(raw, model_spots(raw))


def _parsed(raw: bytes, spots: tuple[int, ...]) -> Json:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        where = f" (line {error.lineno}, column {error.colno})" if raw else ""
        raise BadRequest(f"The request's body is not valid JSON{where}.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise BadRequest("The request's body must be a JSON object.", code="invalid_json")
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


def parse_chat(
    raw: bytes, face: Face, trace: Trace, *, default_model: str = "", headers: Mapping[str, str] | None = None
) -> Chat:
    """The question in a request's body. Raises BadRequest, with the member at fault in `param`."""
    spots = model_spots(raw)
    body = _parsed(raw, spots)
    model = body.get("model") or default_model
    if not model:
        raise BadRequest("You must say which `model` is to answer.", param="model", code="missing_required_parameter")
    if not isinstance(model, str) or len(model) > 512:
        raise BadRequest("`model` must be a string.", param="model", code="invalid_type")
    _CHECKS[face](body)
    _check_common(body)
    return Chat(body, model, face, raw, trace, headers or {}, spots)


def _check_common(body: Json) -> None:
    for name, value in body.items():
        if name in _KINDS and value is not None:
            kinds, wanted = _KINDS[name]
            if type(value) not in kinds:
                raise BadRequest(f"`{name}` must be {wanted}.", param=name, code="invalid_type")
    for name in ("max_tokens", "max_completion_tokens"):
        if (body.get(name) or 0) < 0:
            raise BadRequest(f"`{name}` must not be negative.", param=name, code="integer_below_min_value")
    if (many := body.get("n")) is not None and not 1 <= many <= _MAX_CHOICES:
        raise BadRequest(f"`n` must be from 1 to {_MAX_CHOICES}.", param="n", code="invalid_value")
    if isinstance(body.get("stop"), list) and len(body["stop"]) > _MAX_STOPS:
        raise BadRequest(f"`stop` may have at most {_MAX_STOPS} entries.", param="stop", code="array_above_max_length")


def _check_messages(body: Json) -> None:
    messages = body.get("messages")
    if messages is None:
        raise BadRequest("`messages` is missing.", param="messages", code="missing_required_parameter")
    if not isinstance(messages, list):
        raise BadRequest("`messages` must be a list.", param="messages", code="invalid_type")
    if not messages:
        raise BadRequest("`messages` must have at least one message.", param="messages", code="empty_array")
    for number, message in enumerate(messages):
        if not isinstance(message, dict):
            raise BadRequest(
                f"`messages[{number}]` must be an object.", param=f"messages[{number}]", code="invalid_type"
            )
        if not isinstance(message.get("role"), str):
            raise BadRequest(
                f"`messages[{number}].role` must be a string.", param=f"messages[{number}].role", code="invalid_type"
            )
        if not isinstance(message.get("content"), (str, list, type(None))):
            where = f"messages[{number}].content"
            raise BadRequest(f"`{where}` must be a string or a list of parts.", param=where, code="invalid_type")


def _check_prompt(body: Json) -> None:
    if not isinstance(body.get("prompt"), (str, list)):
        raise BadRequest("`prompt` must be a string or a list.", param="prompt", code="missing_required_parameter")


def _check_input(body: Json) -> None:
    given = body.get("input")
    if not isinstance(given, (str, list)):
        raise BadRequest("`input` must be a string or a list.", param="input", code="missing_required_parameter")
    if not given:
        raise BadRequest("`input` must not be empty.", param="input", code="empty_array")


_CHECKS = {"chat": _check_messages, "completions": _check_prompt, "embeddings": _check_input}
