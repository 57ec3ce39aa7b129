"""Validates the fields that keys and groups share: names and limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmproxy.config.quotas import budgets, shown
from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

COUNTS = ("rpm", "tpm", "max_parallel")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


def name_of(body: Mapping[str, Any]) -> str:
    """Raises BadRequest."""
    name = body.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise wrong("name", "letters, digits and . _ @ + -, at most 64, with a letter or digit first")
    return name


def limits_of(body: Mapping[str, Any]) -> Json:
    """The limits in a request's body, as they are stored; None removes one. Raises BadRequest."""
    limits: Json = {name: _count(body[name], name) for name in COUNTS if name in body}
    if "budget" in body:
        limits["budget"] = _budget(body["budget"])
    return limits


def given(limits: Mapping[str, Any]) -> Json:
    """The limits that are set."""
    return {name: one for name, one in limits.items() if one is not None}


def _count(value: Any, name: str) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10**9):
        raise wrong(name, "a whole number from 1, or null for none")
    return value


def _budget(value: Any) -> list[str] | None:
    try:
        return [shown(one) for one in budgets(value)] or None if value is not None else None
    except ValueError as error:
        raise BadRequest(f"`budget`: {error}.", param="budget", code="invalid_value") from None


def wrong(name: str, allowed: str) -> BadRequest:
    return BadRequest(f"`{name}` must be {allowed}.", param=name, code="invalid_value")
