"""Tokens that a provider wrote as JSON numbers: `0.10` is the text `0.10`, not the number 0.1."""

from __future__ import annotations

import json
from typing import Any

from llmproxy.core.chat import Json


class _Written(str):
    """A number with its text."""

    __slots__ = ()


_DECODER = json.JSONDecoder(strict=False, parse_float=_Written, parse_int=_Written, parse_constant=_Written)


def as_written(chunk: Json, data: bytes) -> Json:
    """The chunk with numbers in `content` replaced by their text; the same object if there are none."""
    choices = chunk.get("choices")
    if not isinstance(choices, list) or not any(map(_is_number, choices)):
        return chunk
    written: Any = _DECODER.decode(data.decode("utf-8", "replace").strip())["choices"]
    return {**chunk, "choices": [_spelt(one, other) for one, other in zip(choices, written, strict=True)]}


def _is_number(choice: Any) -> bool:
    delta = choice.get("delta") if isinstance(choice, dict) else None
    return isinstance(delta, dict) and isinstance(delta.get("content"), float)


def _spelt(choice: Any, written: Any) -> Any:
    if not _is_number(choice):
        return choice
    return {**choice, "delta": {**choice["delta"], "content": str(written["delta"]["content"])}}
