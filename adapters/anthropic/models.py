"""Anthropic's list of models, with what is known of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson

from llmproxy.adapter_kit import Json, Malformed, Model
from llmproxy.adapter_kit import MessagesAbilities as Abilities

from .abilities import abilities


def parse_models(body: bytes, rows: Mapping[str, Abilities]) -> tuple[Sequence[Model], str | None]:
    """One page, and the id after which the next one begins. Raises Malformed."""
    try:
        reply = orjson.loads(body)
        models = [_model(one, rows) for one in reply["data"]]
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise Malformed("Anthropic's list of models is not what it says it is.") from error
    last = reply.get("last_id") if reply.get("has_more") is True else None
    return models, last if isinstance(last, str) and last else None


def _model(said: Json, rows: Mapping[str, Abilities]) -> Model:
    can = abilities(said["id"], rows)
    extra = {
        "name": said.get("display_name"),
        "context_length": said.get("max_input_tokens"),
        "max_output": said.get("max_tokens") or can.max_output,
        "input": ["text", "image", "file"],
        "tools": True,
        "reasoning": any(kind in can.thinking for kind in ("adaptive", "enabled")),
        "capabilities": said.get("capabilities"),
    }
    kept = {name: value for name, value in extra.items() if value is not None}
    return Model(said["id"], _created(said.get("created_at")), "anthropic", kept)


def _created(said: object) -> int:
    try:
        return max(0, int(datetime.fromisoformat(str(said).replace("Z", "+00:00")).timestamp()))
    except (ValueError, OverflowError):
        return 0
