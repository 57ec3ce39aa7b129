"""Reads JSON members with their expected type; a value of another type counts as missing."""

from __future__ import annotations

from typing import Any

from llmproxy.adapter_kit import Json


def an_object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[Json]:
    """The objects in a list; empty if the value is not a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def number(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
