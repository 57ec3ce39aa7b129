"""Members with a fixed type in OpenAI's API: whether a value has this type, and the value converted to it if possible.

A number or a boolean in place of a text becomes its JSON text; a value that cannot be converted is removed. No function here
raises an exception.
"""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.core.chat import Json

TEXTS = frozenset(("content", "refusal", "reasoning_content", "reasoning", "reasoning_text"))  # or null
ANNOTATIONS = (
    "url_citation",
    "file_citation",
    "file_path",
    "file",
)  # the last three are names of other providers that clients know
_LISTS = frozenset(("images", "reasoning_details"))
_LOOK = _LISTS | {"tool_calls", "annotations", "audio", "function_call"}


def is_usual(delta: Json) -> bool:
    """Whether each member of a delta or a message has OpenAI's type. Tool calls are checked elsewhere."""
    for key, value in delta.items():
        if key in TEXTS:
            if type(value) is not str and value is not None:
                return False
        elif key in _LOOK and not (_fits(key, value) if value is not None else key != "annotations"):
            return False  # `annotations` is a list or absent; the others may be null
    return True


def usual(delta: Json) -> Json:
    """The delta or message with OpenAI's types. `content` is a text here: parts were converted before."""
    made = {key: _usual(key, value) for key, value in delta.items()}
    odd = made.get("annotations")
    if isinstance(odd, list):
        made["annotations"], strange = _annotations(odd)
        made |= {"native_annotations": strange} if strange else {}
    return {
        key: value for key, value in made.items() if value is not None or (delta[key] is None and key != "annotations")
    }


def _fits(key: str, value: Any) -> bool:
    if key == "audio":
        return isinstance(value, dict)
    if key == "function_call":
        return isinstance(value, dict) and all(isinstance(value.get(key, ""), str) for key in ("name", "arguments"))
    if not isinstance(value, list):
        return False
    return not value or all(map(_is_annotation if key == "annotations" else _is_object, value))


def _usual(key: str, value: Any) -> Any:
    if key in TEXTS:
        return text(value) if key == "content" or not isinstance(value, bool) else None
    if key not in _LOOK or value is None or _fits(key, value):
        return value
    if key == "tool_calls":
        return [value] if isinstance(value, dict) else value if isinstance(value, list) else None
    if key == "function_call":
        return (
            {**value, **{k: text(value[k]) or "" for k in ("name", "arguments") if k in value}}
            if _is_object(value)
            else None
        )
    if isinstance(value, list):
        return [one for one in value if isinstance(one, dict)] or None
    return [value] if isinstance(value, dict) and key in _LISTS else None


def text(value: object) -> str | None:
    """A value as text: its JSON, if it is not a string. Null is None."""
    if value is None or isinstance(value, str):
        return value
    return None if value in ([], {}) else orjson.dumps(value).decode()


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_annotation(one: Any) -> bool:
    if not isinstance(one, dict) or not isinstance(one.get("type"), str) or one["type"] not in ANNOTATIONS:
        return False
    return "url_citation" not in one if one["type"] != "url_citation" else _is_citation(one.get("url_citation"))


def _is_citation(cited: Any) -> bool:
    if not isinstance(cited, dict) or not isinstance(cited.get("url"), str):
        return False
    places = (cited.get("start_index"), cited.get("end_index"))
    return isinstance(cited.get("title"), str | None) and all(at is None or type(at) is int for at in places)


def _annotations(given: list[Any]) -> tuple[list[Json] | None, list[Any]]:
    """Annotations that OpenAI's clients can read, and all others."""
    read = [(one, one if _is_annotation(one) else _cited(one)) for one in given if isinstance(one, dict)]
    good = [made for _, made in read if made is not None]
    return good or None, [one for one, made in read if made is None and one]


def _cited(one: Json) -> Json | None:
    """A citation whose members are one level too high, or have wrong types."""
    inner = one.get("url_citation")
    cited: Json = inner if isinstance(inner, dict) else one
    url = cited.get("url")
    if one.get("type", "url_citation") != "url_citation" or not isinstance(url, str):
        return None
    kept = {key: cited[key] for key in ("start_index", "end_index") if type(cited.get(key)) is int}
    rest = {
        key: value for key, value in cited.items() if key not in ("type", "url", "title", "start_index", "end_index")
    }
    title = text(cited.get("title"))
    return {"type": "url_citation", "url_citation": {**rest, "url": url, **({"title": title} if title else {}), **kept}}
