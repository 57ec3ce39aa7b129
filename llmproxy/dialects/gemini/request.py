"""Parses the body of a `generateContent` request. The model and the form of the answer are in the path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from llmproxy.core.chat import Chat, Json
from llmproxy.core.dialect import Dialect
from llmproxy.core.errors import BadRequest
from llmproxy.core.trace import Trace
from llmproxy.wire.json_body import parse_body
from llmproxy.wire.refused_thoughts import note

from .fields import camel, listed, spelled
from .shape import check_outline
from .signatures import FOREIGN, NO_CHECK, is_foreign

_LONGEST = 512  # characters of a model's name


def model_name(path: str, default: str = "") -> str:
    """The gateway's model name for the name in the path. Raises BadRequest."""
    while path.startswith("models/"):
        path = path.removeprefix("models/")
    name = path or default
    if not name or len(name) > _LONGEST:
        raise BadRequest("The address must say which model is to answer.", param="model", code="invalid_value")
    return name


def parse_generate(
    raw: bytes, trace: Trace, *, model: str, stream: bool, dialect: Dialect, default_model: str = ""
) -> Chat:
    """Parses the body. Raises BadRequest with the path of the wrong member in `param`."""
    body = parse_body(raw)
    check_outline(body)
    if not listed(spelled(body).get("contents"), "contents"):
        raise BadRequest("`contents` must not be empty.", param="contents", code="missing_required_parameter")
    name = model_name(model, default_model)
    return Chat(body, name, "gemini", raw, trace, dialect=dialect, streaming=stream)


def parse_counted(raw: bytes, trace: Trace, *, model: str, dialect: Dialect, default_model: str = "") -> Chat:
    """The request to be counted: the body of `countTokens`, or the request inside it. Raises BadRequest."""
    given = spelled(parse_body(raw)).get("generateContentRequest")
    return parse_generate(
        raw if given is None else orjson.dumps(given), trace,
        model=model, stream=False, dialect=dialect, default_model=default_model,
    )  # fmt: skip


def gemini_body(chat: Chat, **added: Any) -> bytes:
    """The body for Gemini itself: the client's bytes, unless they have to be changed.

    Reasoning of other models is removed, the model's name is replaced, and `added` members are set if the client did
    not send them.
    """
    raw = chat.raw if chat.raw is not None else orjson.dumps(chat.body)
    there = {camel(name) for name in chat.body}
    missing = {name: value for name, value in added.items() if name not in there}
    if not missing and "model" not in chat.body and FOREIGN not in raw:
        return raw
    body = {name: value for name, value in chat.body.items() if name != "model"}
    if FOREIGN in raw and isinstance(contents := body.get("contents"), (list, dict)):
        body["contents"] = (
            [_without_foreign(one) for one in contents] if isinstance(contents, list) else _without_foreign(contents)
        )
    return orjson.dumps({**body, **missing})


def unsigned(chat: Chat) -> Chat | None:
    """The request without signatures; None if it has none."""
    contents = chat.body.get("contents")
    bare = [_without_foreign(one, _is_any) for one in contents] if isinstance(contents, list) else contents
    if bare == contents:
        return None
    note(chat, "contents.parts.thoughtSignature")
    return chat.with_fields(contents=bare)


def _is_any(signature: object) -> bool:
    return signature != NO_CHECK


def _without_foreign(content: Any, is_out: Callable[[object], bool] = is_foreign) -> Any:
    """The turn without the reasoning of other models. Their calls are marked as calls without a signature of Gemini's."""
    if not isinstance(content, dict) or not isinstance(content.get("parts"), list):
        return content
    return {**content, "parts": [kept for part in content["parts"] if (kept := _part(part, is_out)) is not None]}


def _part(part: Any, is_out: Callable[[object], bool]) -> Any:
    name = next(
        (one for one in ("thoughtSignature", "thought_signature") if isinstance(part, dict) and one in part), ""
    )
    if not name or not is_out(part[name]):
        return part
    bare: Json = {key: value for key, value in part.items() if key != name}
    if "functionCall" in bare or "function_call" in bare:
        return {**bare, name: NO_CHECK}
    return None if bare.get("thought") is True or bare == {"text": ""} else bare
