"""The types of a Messages request, with errors in Anthropic's wording. Null counts as absent everywhere."""

from __future__ import annotations

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest
from llmproxy.wire.shapes import (
    FLAG,
    NUMBER,
    OBJECT,
    TEXT,
    WHOLE,
    Kinds,
    Leaf,
    Listed,
    Members,
    Shape,
    dotted,
    either,
    first_fault,
)  # fmt: skip

_TEXT = Leaf(TEXT.kinds, "a valid string")
_LIST, _DICT = "a valid list", "a valid dictionary"
_NUMBER, _WHOLE, _FLAG = (
    Leaf(NUMBER.kinds, "a valid number"),
    Leaf(WHOLE.kinds, "a valid integer"),
    Leaf(FLAG.kinds, "a valid boolean"),
)
_OBJECT = Leaf(OBJECT.kinds, _DICT)


def _members(**members: Shape) -> Members:
    return Members(members, wanted=_DICT)


def _listed(of: Shape) -> Listed:
    return Listed(of, wanted=_LIST)


_SOURCE = _members(type=_TEXT, media_type=_TEXT, data=_TEXT, url=_TEXT, file_id=_TEXT)
_COMMON = {"type": _TEXT, "cache_control": _OBJECT}
_TEXT_BLOCK = _members(text=_TEXT, citations=either(_listed(_OBJECT), _OBJECT), **_COMMON)
_RESULT = Kinds(
    {
        "text": _TEXT_BLOCK,
        "image": _members(source=_SOURCE, **_COMMON),
        "document": _members(source=_SOURCE, title=_TEXT, context=_TEXT, citations=_OBJECT, **_COMMON),
        "search_result": _members(source=_TEXT, title=_TEXT, content=_listed(_TEXT_BLOCK), **_COMMON),
        "tool_reference": _members(tool_name=_TEXT, **_COMMON),
    },
    wanted=_DICT,
)
_INSIDE = Kinds({**_RESULT.kinds, "document": _members(source=_SOURCE, **_COMMON)}, wanted=_DICT)
_BLOCK = Kinds(
    {
        **_RESULT.kinds,
        "thinking": _members(thinking=_TEXT, signature=_TEXT, **_COMMON),
        "redacted_thinking": _members(data=_TEXT, **_COMMON),
        "tool_use": _members(id=_TEXT, name=_TEXT, input=_OBJECT, **_COMMON),
        "tool_result": _members(tool_use_id=_TEXT, content=either(_TEXT, _listed(_INSIDE)), is_error=_FLAG, **_COMMON),
    },
    wanted=_DICT,
)
_TOOL = _members(
    type=_TEXT, name=_TEXT, description=_TEXT, input_schema=_OBJECT, strict=_FLAG, defer_loading=_FLAG, cache_control=_OBJECT
)  # fmt: skip
_CONFIG = _members(effort=_TEXT, format=_members(type=_TEXT, schema=_OBJECT))
_SHAPE = _members(
    max_tokens=_WHOLE,
    messages=_listed(_members(role=_TEXT, content=either(_TEXT, _listed(_BLOCK)), output_config=_CONFIG)),
    system=either(_TEXT, _listed(_BLOCK)),
    stop_sequences=_listed(_TEXT),
    stream=_FLAG,
    temperature=_NUMBER,
    top_p=_NUMBER,
    top_k=_WHOLE,
    tools=_listed(_TOOL),
    tool_choice=_members(type=_TEXT, name=_TEXT, disable_parallel_tool_use=_FLAG),
    thinking=_members(type=_TEXT, budget_tokens=_WHOLE, display=_TEXT),
    output_config=_CONFIG,
    output_format=_members(type=_TEXT, schema=_OBJECT),
    metadata=_members(user_id=_TEXT),
    service_tier=_TEXT,
    context_management=_OBJECT,
)


def check_messages(body: Json) -> None:
    """Raises BadRequest with the path of the wrong member in `param`."""
    if (fault := first_fault(_SHAPE, body)) is not None:
        where = dotted(fault[0])
        raise BadRequest(f"{where}: Input should be {fault[1]}", param=where, code="invalid_type")
