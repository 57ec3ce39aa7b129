"""Shapes of OpenAI's answers as tables, and a comparison of a JSON value with a shape.

A shape is a dict of member -> rule; a name that ends in `?` may be missing. A rule is a type, a tuple of alternatives, a
list with one shape (for every item), a dict (an object), or a `Const`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Const:
    """One of these values."""

    values: tuple[str, ...]

    def __str__(self) -> str:
        return " | ".join(self.values)


def one_of(*values: str) -> Const:
    return Const(values)


Shape = Mapping[str, Any]
NULL = type(None)
NUMBER = (int, float)

FUNCTION_CALL: Shape = {"name": str, "arguments": str}
TOOL_CALL: Shape = {"id": str, "type": one_of("function", "custom"), "function?": FUNCTION_CALL}
TOOL_DELTA: Shape = {
    "index": int,
    "id?": (str, NULL),
    "type?": (one_of("function", "custom"), NULL),
    "function?": ({"name?": (str, NULL), "arguments?": (str, NULL)}, NULL),
}
ANNOTATION: Shape = {
    "type": one_of("url_citation", "file_citation", "file_path", "file"),
    "url_citation?": {"url": str, "title?": (str, NULL), "start_index?": (int, NULL), "end_index?": (int, NULL)},
}
TOKEN_LOGPROB: Shape = {
    "token": str,
    "logprob": NUMBER,
    "bytes": ([int], NULL),
    "top_logprobs": [{"token": str, "logprob": NUMBER}],
}
LOGPROBS: Shape = {"content?": ([TOKEN_LOGPROB], NULL), "refusal?": ([TOKEN_LOGPROB], NULL)}
USAGE: Shape = {
    "prompt_tokens": int,
    "completion_tokens": int,
    "total_tokens": int,
    "prompt_tokens_details?": ({"cached_tokens?": (int, NULL), "audio_tokens?": (int, NULL)}, NULL),
    "completion_tokens_details?": ({"reasoning_tokens?": (int, NULL), "audio_tokens?": (int, NULL)}, NULL),
}
FINISH = one_of("stop", "length", "tool_calls", "content_filter", "function_call")
COMPLETION_FINISH = one_of("stop", "length", "content_filter")

MESSAGE: Shape = {
    "role": one_of("assistant"),
    "content": (str, NULL),
    "refusal": (str, NULL),
    "tool_calls?": [TOOL_CALL],
    "annotations?": [ANNOTATION],
    "reasoning_content?": (str, NULL),
}
DELTA: Shape = {
    "role?": (one_of("assistant"), NULL),
    "content?": (str, NULL),
    "refusal?": (str, NULL),
    "tool_calls?": ([TOOL_DELTA], NULL),
    "annotations?": ([ANNOTATION], NULL),
    "reasoning_content?": (str, NULL),
}
CHAT: Shape = {
    "id": str,
    "object": one_of("chat.completion"),
    "created": int,
    "model": str,
    "choices": [{"index": int, "message": MESSAGE, "finish_reason": FINISH, "logprobs?": (LOGPROBS, NULL)}],
    "usage?": USAGE,
    "system_fingerprint?": (str, NULL),
    "service_tier?": (str, NULL),
}
CHUNK: Shape = {
    "id": str,
    "object": one_of("chat.completion.chunk"),
    "created": int,
    "model": str,
    "choices": [{"index": int, "delta": DELTA, "finish_reason": (FINISH, NULL), "logprobs?": (LOGPROBS, NULL)}],
    "usage?": (USAGE, NULL),
    "system_fingerprint?": (str, NULL),
    "service_tier?": (str, NULL),
}
COMPLETION: Shape = {
    "id": str,
    "object": one_of("text_completion"),
    "created": int,
    "model": str,
    "choices": [{"index": int, "text": str, "finish_reason": COMPLETION_FINISH, "logprobs": (dict, NULL)}],
    "usage?": USAGE,
}
COMPLETION_CHUNK: Shape = {
    **COMPLETION,
    "choices": [{"index": int, "text": str, "finish_reason": (COMPLETION_FINISH, NULL), "logprobs": (dict, NULL)}],
    "usage?": (USAGE, NULL),
}
EMBEDDINGS: Shape = {
    "object": one_of("list"),
    "data": [{"object": one_of("embedding"), "index": int, "embedding": (str, [NUMBER])}],
    "model": str,
    "usage": {"prompt_tokens": int, "total_tokens": int},
}
MODEL: Shape = {"id": str, "object": one_of("model"), "created": int, "owned_by": str}
MODELS: Shape = {"object": one_of("list"), "data": [MODEL]}
ERROR: Shape = {"error": {"message": str, "type": str, "param": (str, NULL), "code": (str, NULL)}}


def misfits(value: object, shape: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, error) for each difference between value and shape."""
    if isinstance(shape, Mapping):
        yield from _object_misfits(value, shape, path)
    elif isinstance(shape, list):
        yield from _list_misfits(value, shape[0], path)
    elif isinstance(shape, tuple):
        yield from _choice_misfits(value, shape, path)
    elif not _is(value, shape):
        yield path, f"expected {_name(shape)}, found {_brief(value)}"


def _object_misfits(value: object, shape: Shape, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield path, f"expected an object, found {_brief(value)}"
        return
    for member, inner in shape.items():
        name, optional = member.removesuffix("?"), member.endswith("?")
        where = f"{path}.{name}" if path else name
        if name in value:
            yield from misfits(value[name], inner, where)
        elif not optional:
            yield where, "missing"


def _list_misfits(value: object, shape: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        yield path, f"expected a list, found {_brief(value)}"
        return
    for position, item in enumerate(value):
        yield from misfits(item, shape, f"{path}[{position}]")


def _choice_misfits(value: object, shapes: tuple[Any, ...], path: str) -> Iterator[tuple[str, str]]:
    """If no alternative matches: the errors of the only one with the value's JSON type, if there is exactly one."""
    complaints = [list(misfits(value, shape, path)) for shape in shapes]
    if not all(complaints):
        return
    inner = [found for found in complaints if found[0][0] != path or len(found) > 1]
    if len(inner) == 1:
        yield from inner[0]
    else:
        yield path, f"expected {' or '.join(_name(shape) for shape in shapes)}, found {_brief(value)}"


def _is(value: object, shape: Any) -> bool:
    if isinstance(shape, Const):
        return value in shape.values
    if isinstance(value, bool):
        return shape is bool
    return isinstance(value, shape)


def _name(shape: Any) -> str:
    if isinstance(shape, Mapping):
        return "an object"
    if isinstance(shape, list):
        return "a list"
    return (
        "null" if shape is NULL else str(shape) if isinstance(shape, Const) else getattr(shape, "__name__", str(shape))
    )


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
