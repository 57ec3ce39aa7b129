"""Members whose type OpenAI fixes: whether a value has it, and the value with it, as far as it says anything.

A number or a boolean where a text belongs becomes its JSON text; what has no reading is left out. Nothing here raises.
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
)  # the last three are others' words, known to clients
_LISTS = frozenset(("images", "reasoning_details"))
_LOOK = _LISTS | {"tool_calls", "annotations", "audio", "function_call"}


def is_usual(said: Json) -> bool:
    """Whether each member of a delta, or of a message, has OpenAI's type. The inside of tool calls is looked at elsewhere."""
    for key, value in said.items():
        if key in TEXTS:
            if type(value) is not str and value is not None:
                return False
        elif key in _LOOK and not (_fits(key, value) if value is not None else key != "annotations"):
            return False  # `annotations` is a list or not there; the others may be null
    return True


def usual(said: Json) -> Json:
    """The delta or message with OpenAI's types. `content` is text here: parts are taken apart before."""
    made = {key: _usual(key, value) for key, value in said.items()}
    odd = made.get("annotations")
    if isinstance(odd, list):
        made["annotations"], strange = _annotations(odd)
        made |= {"native_annotations": strange} if strange else {}
    return {
        key: value for key, value in made.items() if value is not None or (said[key] is None and key != "annotations")
    }


def _fits(key: str, value: Any) -> bool:
    if key == "audio":
        return isinstance(value, dict)
    if key == "function_call":
        return isinstance(value, dict) and all(isinstance(value.get(key, ""), str) for key in ("name", "arguments"))
    if not isinstance(value, list):
        return False
    return all(map(_is_annotation if key == "annotations" else _is_object, value))


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
    """A value as the text that it stands for: JSON, where it is no string. Nothing at all is None."""
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
    """Those that OpenAI's clients can read, and the others."""
    read = [(one, one if _is_annotation(one) else _cited(one)) for one in given if isinstance(one, dict)]
    good = [made for _, made in read if made is not None]
    return good or None, [one for one, made in read if made is None and one]


def _cited(one: Json) -> Json | None:
    """A citation whose members stand one level too high, or have odd types."""
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
