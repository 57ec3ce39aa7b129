"""Parses the body of POST /v1/responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llmproxy.core.chat import Chat, Json
from llmproxy.core.dialect import Dialect
from llmproxy.core.errors import BadRequest
from llmproxy.core.trace import Trace
from llmproxy.wire.openai_request import parse_request

_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "input": ((str, list), "a string or a list of items"),
    "instructions": ((str, list), "a string"),
    "previous_response_id": ((str,), "a string"),
    "store": ((bool,), "true or false"),
    "background": ((bool,), "true or false"),
    "include": ((list,), "a list"),
    "reasoning": ((dict,), "an object"),
    "text": ((dict,), "an object"),
    "max_output_tokens": ((int,), "a whole number"),
    "metadata": ((dict,), "an object"),
}


def parse_response(
    raw: bytes, trace: Trace, *, dialect: Dialect, default_model: str = "", headers: Mapping[str, str] | None = None
) -> Chat:
    """Parses the body. Raises BadRequest with the path of the wrong member in `param`."""
    chat = parse_request(raw, "responses", trace, _check, default_model=default_model, headers=headers)
    return replace(chat, dialect=dialect)


def input_items(body: Json) -> list[Json]:
    """The input as a list of items; a string is one user message."""
    given = body.get("input")
    if isinstance(given, str):
        return (
            [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}] if given else []
        )
    return list(given or ())


def _check(body: Json) -> None:
    for name, (kinds, wanted) in _KINDS.items():
        value = body.get(name)
        if value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            raise BadRequest(f"`{name}` must be {wanted}.", param=name, code="invalid_type")
    if all(body.get(name) is None for name in ("input", "previous_response_id", "prompt", "conversation")):
        raise BadRequest("`input` is missing.", param="input", code="missing_required_parameter")
    for name in ("input", "instructions", "tools"):
        _check_typed(body.get(name), name)
    for number, one in enumerate(body.get("include") or ()):
        if not isinstance(one, str):
            where = f"include[{number}]"
            raise BadRequest(f"`{where}` must be a string.", param=where, code="invalid_type")
    most = body.get("max_output_tokens")
    if most is not None and most < 1:
        text = "`max_output_tokens` must be at least 1."
        raise BadRequest(text, param="max_output_tokens", code="integer_below_min_value")
    if body.get("conversation") is not None and body.get("previous_response_id") is not None:
        text = "`previous_response_id` and `conversation` exclude each other."
        raise BadRequest(text, param="conversation", code="invalid_value")


def _check_typed(value: object, name: str) -> None:
    """Items and tools must be objects, and their `type`, if there is one, a string."""
    for number, one in enumerate(value if isinstance(value, list) else ()):
        where = f"{name}[{number}]"
        if not isinstance(one, dict):
            raise BadRequest(f"`{where}` must be an object.", param=where, code="invalid_type")
        if not isinstance(one.get("type", ""), str):
            raise BadRequest(f"`{where}.type` must be a string.", param=f"{where}.type", code="invalid_type")
