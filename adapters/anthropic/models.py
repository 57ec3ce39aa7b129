"""Parses Anthropic's list of models, and adds what is known of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson

from llmproxy.adapter_kit import Json, Malformed, Model
from llmproxy.adapter_kit import MessagesAbilities as Abilities

from .abilities import abilities


def parse_models(body: bytes, rows: Mapping[str, Abilities]) -> tuple[Sequence[Model], str | None]:
    """The models of one page, and the ID after which the next page begins (None at the end). Raises Malformed."""
    try:
        reply = orjson.loads(body)
        models = [_model(one, rows) for one in reply["data"]]
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise Malformed("Anthropic's list of models could not be read: unexpected JSON.") from error
    last = reply.get("last_id") if reply.get("has_more") is True else None
    return models, last if isinstance(last, str) and last else None


def _model(entry: Json, rows: Mapping[str, Abilities]) -> Model:
    can = abilities(entry["id"], rows)
    extra = {
        "name": entry.get("display_name"),
        "context_length": entry.get("max_input_tokens"),
        "max_output": entry.get("max_tokens") or can.max_output,
        "input": ["text", "image", "file"],
        "tools": True,
        "reasoning": any(kind in can.thinking for kind in ("adaptive", "enabled")),
        "capabilities": entry.get("capabilities"),
    }
    kept = {name: value for name, value in extra.items() if value is not None}
    return Model(entry["id"], _created(entry.get("created_at")), "anthropic", kept)


def _created(given: object) -> int:
    try:
        return max(0, int(datetime.fromisoformat(str(given).replace("Z", "+00:00")).timestamp()))
    except (ValueError, OverflowError):
        return 0
