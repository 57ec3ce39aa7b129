"""Reads the body of a `generateContent` request, whose model and form of answer stand in its address."""

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


def model_name(said: str, default: str = "") -> str:
    """The gateway's name for what stands in the address. Raises BadRequest."""
    while said.startswith("models/"):
        said = said.removeprefix("models/")
    name = said or default
    if not name or len(name) > _LONGEST:
        raise BadRequest("The address must say which model is to answer.", param="model", code="invalid_value")
    return name


def parse_generate(
    raw: bytes, trace: Trace, *, model: str, stream: bool, dialect: Dialect, default_model: str = ""
) -> Chat:
    """The Chat in the body. Raises BadRequest, with the member at fault in `param`."""
    body = parse_body(raw)
    check_outline(body)
    if not listed(spelled(body).get("contents"), "contents"):
        raise BadRequest("`contents` must not be empty.", param="contents", code="missing_required_parameter")
    name = model_name(model, default_model)
    return Chat(body, name, "gemini", raw, trace, dialect=dialect, streaming=stream)


def parse_counted(raw: bytes, trace: Trace, *, model: str, dialect: Dialect, default_model: str = "") -> Chat:
    """The request that is to be counted: the body of `countTokens`, or the one in it. Raises BadRequest."""
    given = spelled(parse_body(raw)).get("generateContentRequest")
    return parse_generate(
        raw if given is None else orjson.dumps(given), trace,
        model=model, stream=False, dialect=dialect, default_model=default_model,
    )  # fmt: skip


def gemini_body(chat: Chat, **added: Any) -> bytes:
    """The request for Gemini itself: the client's bytes, unless something in them is not Gemini's.

    That is reasoning of other models, a model's name that is ours, and `added` members that the client did not send.
    """
    raw = chat.raw if chat.raw is not None else orjson.dumps(chat.body)
    there = {camel(name) for name in chat.body}
    missing = {name: value for name, value in added.items() if name not in there}
    if not missing and "model" not in chat.body and FOREIGN not in raw:
        return raw
    body = {name: value for name, value in chat.body.items() if name != "model"}
    if FOREIGN in raw and isinstance(contents := body.get("contents"), (list, dict)):
        body["contents"] = [_own(one) for one in contents] if isinstance(contents, list) else _own(contents)
    return orjson.dumps({**body, **missing})


def unsigned(chat: Chat) -> Chat | None:
    """The request without any signature. None where it has none."""
    contents = chat.body.get("contents")
    bare = [_own(one, _is_any) for one in contents] if isinstance(contents, list) else contents
    if bare == contents:
        return None
    note(chat, "contents.parts.thoughtSignature")
    return chat.saying(contents=bare)


def _is_any(signature: object) -> bool:
    return signature != NO_CHECK


def _own(content: Any, is_out: Callable[[object], bool] = is_foreign) -> Any:
    """The turn without other models' reasoning. A call of theirs says that it never had a signature of Gemini's."""
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
