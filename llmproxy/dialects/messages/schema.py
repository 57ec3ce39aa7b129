"""Converts JSON schemas: unchanged for tools, limited to what Anthropic's grammar knows for strict output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from llmproxy.core.chat import Json

_KEPT = frozenset(
    ("$ref", "$defs", "definitions", "type", "enum", "const", "title", "description", "default", "format", "items")
)
_FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
)  # keywords that the SDK's transform_schema keeps
_CHOICES = ("anyOf", "oneOf", "allOf")
EMPTY: Mapping[str, Any] = {"type": "object", "properties": {}}


def tool_schema(schema: object) -> Json:
    """The parameters of a tool: an object at the top level without a choice there, which is refused."""
    if not isinstance(schema, dict) or not schema:
        return dict(EMPTY)
    if not any(isinstance(schema.get(name), list) for name in _CHOICES):
        return schema if schema.get("type") == "object" else {**schema, "type": "object"}
    return _merged(schema)


def strict_schema(schema: object) -> Any:
    """Closes every object. Keywords that the grammar does not know are moved to the description, which the model reads."""
    if not isinstance(schema, dict):
        return {}
    kept: Json = {name: value for name, value in schema.items() if name in _KEPT}
    moved = {name: value for name, value in schema.items() if name not in _KEPT and name not in _READ}
    if kept.get("format") is not None and kept["format"] not in _FORMATS:
        moved["format"] = kept.pop("format")
    for name in ("$defs", "definitions"):
        if isinstance(kept.get(name), dict):
            kept[name] = {key: strict_schema(one) for key, one in kept[name].items()}
    kept |= _inner(schema, moved)
    if moved:
        text = ", ".join(f"{name}: {orjson.dumps(value).decode()}" for name, value in moved.items())
        kept["description"] = f"{kept['description']}\n\n{{{text}}}" if kept.get("description") else f"{{{text}}}"
    return kept


_READ = frozenset(("properties", "required", "additionalProperties", "minItems", *_CHOICES, "$schema", "strict"))


def _inner(schema: Json, moved: Json) -> Json:
    inner: Json = {}
    if isinstance(schema.get("items"), dict):
        inner["items"] = strict_schema(schema["items"])
    if schema.get("minItems") in (0, 1):
        inner["minItems"] = schema["minItems"]
    elif "minItems" in schema:
        moved["minItems"] = schema["minItems"]
    for name in _CHOICES:
        if isinstance(schema.get(name), list):
            inner["allOf" if name == "allOf" else "anyOf"] = [strict_schema(one) for one in schema[name]]
    if schema.get("type") == "object" or isinstance(schema.get("properties"), dict):
        properties = schema.get("properties")
        inner["type"] = schema.get("type", "object")
        inner["properties"] = (
            {k: strict_schema(v) for k, v in properties.items()} if isinstance(properties, dict) else {}
        )
        inner["additionalProperties"] = False
        if isinstance(schema.get("required"), list):
            inner["required"] = schema["required"]
    return inner


def _merged(schema: Json) -> Json:
    """All members of all branches; required are those that every branch requires."""
    merged: Json = {name: value for name, value in schema.items() if name not in _CHOICES}
    properties: Json = dict(merged.get("properties") or {})
    required = list(merged.get("required") or ())
    for name in _CHOICES:
        branches = [one for one in schema.get(name) or () if isinstance(one, dict)]
        for branch in branches:
            properties = {**(branch.get("properties") or {}), **properties}
        wanted = [set(branch.get("required") or ()) for branch in branches]
        common = (set.union(*wanted) if name == "allOf" else set.intersection(*wanted)) if wanted else set()
        required += sorted(common.difference(required))
    return {**merged, "type": "object", "properties": properties, **({"required": required} if required else {})}
