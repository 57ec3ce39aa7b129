"""Converts JSON schemas for Gemini: local references are expanded, because it refuses most siblings of a `$ref`."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from llmproxy.adapter_kit import BadRequest, Json

MOST_NODES = 20_000  # limit for schemas that double at each level of references
DEEPEST = 100
_NOT_SCHEMA = frozenset(("$schema", "$id", "$comment", "$defs", "definitions"))
_NAMED = frozenset(("properties", "patternProperties"))  # whose keys are names, not keywords
_DATA = frozenset(("enum", "const", "default", "example", "examples", "required", "propertyOrdering"))


def inlined(schema: Json) -> Json:
    """The schema with each local `$ref` replaced by its target.

    In a recursive schema the reference stays, without siblings, and its target is in `$defs`, which Gemini follows to some
    depth.
    """
    return _Inliner(schema).result()


def _open(definition: Any) -> Any:
    """Removes `required` above a reference: Gemini accepts a recursive member only if it is optional."""
    if isinstance(definition, list):
        return [_open(one) for one in definition]
    if not isinstance(definition, dict):
        return definition
    found = {key: value if key in _DATA else _open(value) for key, value in definition.items()}
    properties, required = definition.get("properties"), definition.get("required")
    if isinstance(properties, dict) and isinstance(required, list):
        found["required"] = [name for name in required if not _refers(properties.get(name))]
    return found


def _refers(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_refers, schema))
    return isinstance(schema, dict) and ("$ref" in schema or any(map(_refers, schema.values())))


class _Inliner:
    def __init__(self, root: Json) -> None:
        self._root = root
        self._path: list[str] = ["#"]  # the references being expanded, outermost first
        self._kept: dict[str, str] = {}  # references that are kept -> their name in $defs
        self._nodes = 0
        self._depth = 0

    def result(self) -> Json:
        schema: Json = self._schema(self._root)
        definitions: Json = {}
        while len(definitions) < len(self._kept):  # expanding one may find another
            for reference, name in list(self._kept.items()):
                if name not in definitions:
                    definitions[name] = _open(self._definition(reference))
        return {**schema, "$defs": definitions} if definitions else schema

    def _definition(self, reference: str) -> Any:
        self._path = [reference]
        return self._schema(self._target(reference))

    def _schema(self, node: Any) -> Any:
        self._nodes += 1
        self._depth += 1
        if self._nodes > MOST_NODES or self._depth > DEEPEST:
            raise BadRequest(
                "The schema is too large or too deep with its references written out.", code="invalid_schema"
            )
        written = self._written(node)
        self._depth -= 1
        return written

    def _written(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._schema(one) for one in node]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            return self._reference(node)
        return {key: self._member(key, value) for key, value in node.items() if key not in _NOT_SCHEMA}

    def _member(self, key: str, value: Any) -> Any:
        if key in _DATA:
            return value
        if key in _NAMED and isinstance(value, dict):
            return {name: self._schema(one) for name, one in value.items()}
        return self._schema(value)

    def _reference(self, node: Json) -> Any:
        reference = node["$ref"]
        if reference in self._path or reference in self._kept:
            return {"$ref": f"#/$defs/{self._name(reference)}"}
        target = self._target(reference)
        self._path.append(reference)
        beside = {key: value for key, value in node.items() if key != "$ref"}
        whole = self._schema({**target, **beside} if isinstance(target, dict) else target)
        self._path.pop()
        return whole

    def _name(self, reference: str) -> str:
        if reference not in self._kept:
            last = reference.rpartition("/")[2]
            name = last if last not in ("", "#") else "root"
            taken = set(self._kept.values())
            self._kept[reference] = name if name not in taken else f"{name}_{len(taken)}"
        return self._kept[reference]

    def _target(self, reference: str) -> Any:
        found: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/") if reference.strip("#/") else ():
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(key)] if isinstance(found, list) else found[key]
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise BadRequest(f"The schema has no {reference!r} to refer to.", code="invalid_schema") from error
        return found
