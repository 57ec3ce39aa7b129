"""Schemas whose references are written out, and those whose references cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from llmproxy.adapters.gemini.schema import inlined

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

TREE: Json = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
}


@pytest.mark.parametrize("place", ["$defs", "definitions"])
def test_a_reference_is_replaced_by_what_it_names(place: str) -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        place: {"A": {"anyOf": [{"$ref": f"#/{place}/B"}, {"type": "null"}]}, "B": {"type": "string"}},
        "properties": {"a": {"$ref": f"#/{place}/A"}},
    }
    assert inlined(schema) == {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}


def test_what_stands_beside_a_reference_wins() -> None:
    schema = {"$defs": {"A": {"type": "string", "title": "A"}}, "items": {"$ref": "#/$defs/A", "title": "B"}}
    assert inlined(schema) == {"items": {"type": "string", "title": "B"}}


def test_a_schema_that_contains_itself_keeps_its_reference_alone() -> None:
    got = inlined({"$defs": {"Tree": TREE}, "type": "object", "properties": {"root": {"$ref": "#/$defs/Tree"}}})
    assert got == {"type": "object", "properties": {"root": TREE}, "$defs": {"Tree": TREE}}


def test_schemas_that_contain_each_other() -> None:
    schema = {
        "$defs": {"A": {"items": {"$ref": "#/$defs/B"}}, "B": {"items": {"$ref": "#/$defs/A"}}},
        "$ref": "#/$defs/A",
    }
    got = inlined(schema)
    assert got["items"]["items"] == {"$ref": "#/$defs/A"}
    assert got["$defs"] == {"A": {"items": {"items": {"$ref": "#/$defs/A"}}}}


def test_a_schema_that_is_its_own_root() -> None:
    got = inlined({"type": "object", "properties": {"next": {"$ref": "#"}}})
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/root"}}}
    assert got == {**node, "$defs": {"root": node}}


@pytest.mark.parametrize("name", ["$ref", "$defs", "definitions", "enum", "properties"])
def test_a_property_may_have_the_name_of_a_keyword(name: str) -> None:
    schema = {"properties": {name: {"type": "string"}}}
    assert inlined(schema) == schema


def test_data_is_no_schema() -> None:
    schema = {"enum": [{"$ref": "x"}], "default": {"$schema": "y"}}
    assert inlined(schema) == schema


def test_names_with_slashes_are_found() -> None:
    assert inlined({"$defs": {"a/b c": {"type": "null"}}, "items": {"$ref": "#/$defs/a~1b%20c"}}) == {
        "items": {"type": "null"}
    }


@pytest.mark.parametrize("reference", ["#/$defs/None", "https://x.example/s.json", "#/items/7/x"])
def test_a_reference_to_nothing_is_the_clients_mistake(reference: str) -> None:
    with pytest.raises(BadRequest, match="to refer to"):
        inlined({"properties": {"a": {"$ref": reference}}})


def test_references_that_double_at_each_level_are_refused() -> None:
    def level(number: int) -> Any:
        return {"anyOf": [{"$ref": f"#/$defs/L{number + 1}"}] * 2} if number < 40 else {"type": "null"}

    with pytest.raises(BadRequest, match="too large"):
        inlined({"$defs": {f"L{number}": level(number) for number in range(41)}, "$ref": "#/$defs/L0"})


def test_a_schema_that_is_too_deep_is_refused() -> None:
    schema: Json = {}
    for _ in range(2000):
        schema = {"items": schema}
    with pytest.raises(BadRequest, match="deep"):
        inlined(schema)


def test_the_schema_that_was_given_is_not_changed() -> None:
    schema = {"$defs": {"Tree": TREE}, "$ref": "#/$defs/Tree"}
    inlined(schema)
    assert schema == {"$defs": {"Tree": TREE}, "$ref": "#/$defs/Tree"}
