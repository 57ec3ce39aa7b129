"""Members of the JSON that Google sends, read as what they should be: of another type they count as absent."""

from __future__ import annotations

from typing import Any

from llmproxy.adapter_kit import Json


def an_object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[Json]:
    """The objects of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def number(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
