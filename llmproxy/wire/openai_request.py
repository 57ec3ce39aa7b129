"""Parses the body of an OpenAI-style request into a Chat; validates what the gateway needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llmproxy.core.chat import Chat, Face, Json, model_spots
from llmproxy.core.errors import BadRequest
from llmproxy.core.trace import Trace

from .json_body import parse_object

_MAX_CHOICES = 128
_MAX_STOPS = 64
# Python types of JSON's types; in text completions, `logprobs` is a number.
_KINDS: dict[str, tuple[frozenset[type], str]] = {
    "stream": (frozenset((bool,)), "true or false"),
    "logprobs": (frozenset((bool, int)), "true or false"),
    "stream_options": (frozenset((dict,)), "an object"),
    "tools": (frozenset((list,)), "a list"),
    "max_tokens": (frozenset((int, float)), "a number"),
    "max_completion_tokens": (frozenset((int, float)), "a number"),
    "n": (frozenset((int,)), "a whole number"),
}


def parse_request(
    raw: bytes,
    face: Face,
    trace: Trace,
    check: Callable[[Json], None],
    *,
    default_model: str = "",
    headers: Mapping[str, str] | None = None,
) -> Chat:
    """The Chat from a request body. `check` validates the members of its endpoint.

    Raises BadRequest; `param` names the invalid member.
    """
    spots = model_spots(raw)
    body = parse_object(raw, spots)
    model = body.get("model") or default_model
    if not model:
        raise BadRequest("The request has no `model`.", param="model", code="missing_required_parameter")
    if not isinstance(model, str) or len(model) > 512:
        raise BadRequest("`model` must be a string.", param="model", code="invalid_type")
    check(body)
    _check_common(body)
    return Chat(body, model, face, raw, trace, headers or {}, spots)


def _check_common(body: Json) -> None:
    for name, value in body.items():
        if name in _KINDS and value is not None:
            kinds, wanted = _KINDS[name]
            if type(value) not in kinds:
                raise BadRequest(f"`{name}` must be {wanted}.", param=name, code="invalid_type")
    for name in ("max_tokens", "max_completion_tokens"):
        if name in body and (body[name] or 0) < 0:
            raise BadRequest(f"`{name}` must not be negative.", param=name, code="integer_below_min_value")
    if "n" in body and (many := body["n"]) is not None and not 1 <= many <= _MAX_CHOICES:
        raise BadRequest(f"`n` must be from 1 to {_MAX_CHOICES}.", param="n", code="invalid_value")
    if "stop" in body and isinstance(body["stop"], list) and len(body["stop"]) > _MAX_STOPS:
        raise BadRequest(f"`stop` may have at most {_MAX_STOPS} entries.", param="stop", code="array_above_max_length")
