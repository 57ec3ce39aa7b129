"""Converts content that is a list of parts: text, reasoning and images are put into the members that clients read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llmproxy.core.chat import Json

from .members import text


@dataclass(slots=True)
class _Taken:
    """The content of the parts, in order."""

    text: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    images: list[Json] = field(default_factory=list)
    details: list[Json] = field(default_factory=list)  # reasoning with a signature, in OpenRouter's form
    others: list[Any] = field(default_factory=list)  # unknown parts


def taken_apart(delta: Json) -> Json:
    """The delta with its content as text. Other parts get members of their own; unknown parts are passed on unchanged."""
    content = delta["content"]
    parts = content if isinstance(content, list) else [content]
    if not any(isinstance(part, (dict, str)) for part in parts) or (
        isinstance(content, dict) and not _is_part(content)
    ):
        return {**delta, "content": text(content)}
    taken = _Taken()
    for part in parts:
        _take(part, taken)
    return {**delta, "content": "".join(taken.text), **_members(taken, delta)}


def _members(taken: _Taken, delta: Json) -> Json:
    thoughts = "".join(taken.thoughts)
    lists = {"images": taken.images, "reasoning_details": taken.details, "content_parts": taken.others}
    made: Json = {"refusal": "".join(taken.refusal)} if taken.refusal else {}
    made |= {"reasoning_content": thoughts} if thoughts and not delta.get("reasoning_content") else {}
    return made | {key: [*_listed(delta.get(key)), *found] for key, found in lists.items() if found}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_part(value: Json) -> bool:
    return isinstance(value.get("type"), str) or isinstance(value.get("text"), str)


def _take(part: Any, taken: _Taken) -> None:
    if not isinstance(part, dict):
        part_text = text(part)
        if part_text:
            taken.text.append(part_text)
        return
    kind = part.get("type")
    _KINDS.get(kind if isinstance(kind, str) else "text", _unknown)(part, taken)


def _text(part: Json, taken: _Taken) -> None:
    part_text = part.get("text")
    if isinstance(part_text, dict):  # the form of the Assistants API
        part_text = part_text.get("value")
    if (found := text(part_text)) is not None:
        taken.text.append(found)
    elif len(part) > 1:
        taken.others.append(part)


def _thought(part: Json, taken: _Taken) -> None:
    part_text = _thoughts(part)
    if part_text:
        taken.thoughts.append(part_text)
    signature = _signature(part)
    if signature is not None:
        taken.details.append({"type": "reasoning.text", "text": part_text, "signature": signature})


def _hidden(part: Json, taken: _Taken) -> None:
    taken.details.append({"type": "reasoning.encrypted", "data": text(part.get("data")) or ""})


def _refusal(part: Json, taken: _Taken) -> None:
    taken.refusal.append(text(part.get("refusal") or part.get("text")) or "")


def _picture(part: Json, taken: _Taken) -> None:
    inner = part.get("image_url")
    if isinstance(inner, str):
        inner = {"url": inner}
    if isinstance(inner, dict):
        taken.images.append({**part, "type": "image_url", "image_url": inner})
    else:
        taken.others.append(part)


def _unknown(part: Json, taken: _Taken) -> None:
    taken.others.append(part)


_KINDS: dict[str, Callable[[Json, _Taken], None]] = {
    **dict.fromkeys(("text", "output_text", "input_text"), _text),
    **dict.fromkeys(("reasoning", "thinking", "reasoning_text", "summary_text", "thought"), _thought),
    "redacted_thinking": _hidden,
    "refusal": _refusal,
    **dict.fromkeys(("image_url", "output_image", "image"), _picture),
}


def _thoughts(part: Any) -> str:
    """The text of reasoning: under one of these names, as a text or again as a list of parts."""
    if isinstance(part, str):
        return part
    if isinstance(part, list):
        return "".join(map(_thoughts, part))
    if not isinstance(part, dict):
        return ""
    return next(
        (
            part_text
            for key in ("thinking", "summary", "text", "reasoning", "content")
            if (part_text := _thoughts(part.get(key)))
        ),
        "",
    )


def _signature(part: Json) -> str | None:
    inner = part.get("summary")
    places = [part, *(one for one in _listed(inner) if isinstance(one, dict))]
    return next(
        (one["signature"] for one in places if isinstance(one.get("signature"), str) and one["signature"]), None
    )
