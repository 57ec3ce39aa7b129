"""Calls come back as the client knows its tools: custom ones with raw text, namespaced ones with both names."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.dialects.responses.tools import ToolTable
from llmproxy.testing import FakeProvider, completion
from llmproxy.wire.foreign_reasoning import unpack
from tests.dialects.responses.house import House, kinds, last, said
from tests.dialects.streams import Json, call

PATCH = {"type": "custom", "name": "apply_patch", "format": {"type": "text"}}
FILES = {
    "type": "namespace",
    "name": "files",
    "description": "Files.",
    "tools": [{"type": "function", "name": "look", "parameters": {}, "strict": False}, PATCH],
}


async def output(house: House, provider: FakeProvider, *deltas: Any, **members: Any) -> list[Any]:
    provider.streams(*said(*deltas, finish="tool_calls"))
    return list(last(await house.events(**{"input": "Hi", **members}))["output"])


@pytest.mark.parametrize(
    ("arguments", "input"),
    [
        ('{"input":"*** Begin Patch\\n"}', "*** Begin Patch\n"),
        ('{"patch":"x"}', '{"patch":"x"}'),
    ],
)
async def test_a_custom_tools_call_has_its_raw_text(
    house: House, provider: FakeProvider, arguments: str, input: str
) -> None:
    (item,) = await output(house, provider, call(0, "c1", "apply_patch", arguments), tools=[PATCH])
    assert (item["type"], item["call_id"], item["name"], item["input"]) == (
        "custom_tool_call", "c1", "apply_patch", input,
    )  # fmt: skip


async def test_the_text_of_a_custom_call_is_sent_when_it_is_complete(house: House, provider: FakeProvider) -> None:
    pieces = [call(0, "c1", "apply_patch", '{"inp'), call(0, "", "", 'ut":"a\\nb"}')]
    provider.streams(*said(*pieces, finish="tool_calls"))
    events = await house.events(input="Hi", tools=[PATCH])
    assert kinds(events)[2:-1] == [
        "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done",
    ]  # fmt: skip


async def test_a_namespaced_call_has_both_names(house: House, provider: FakeProvider) -> None:
    (item,) = await output(house, provider, call(0, "c1", "files__look", "{}"), tools=[FILES])
    assert (item["type"], item["namespace"], item["name"]) == ("function_call", "files", "look")


async def test_a_custom_tool_in_a_namespace_has_both(house: House, provider: FakeProvider) -> None:
    (item,) = await output(house, provider, call(0, "c1", "files__apply_patch", '{"input":"x"}'), tools=[FILES])
    assert (item["type"], item["namespace"], item["name"], item["input"]) == (
        "custom_tool_call", "files", "apply_patch", "x",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "arguments", "member", "given"),
    [
        ("shell", '{"commands":["ls"]}', "action", {"commands": ["ls"]}),
        ("local_shell", '{"command":["ls"]}', "action", {"type": "exec", "env": {}, "command": ["ls"]}),
        ("apply_patch", '{"type":"delete_file","path":"a"}', "operation", {"type": "delete_file", "path": "a"}),
    ],
)
async def test_openais_tools_that_the_client_runs_are_functions_and_their_calls_come_back_as_their_own(
    house: House, provider: FakeProvider, kind: str, arguments: str, member: str, given: Json
) -> None:
    (item,) = await output(house, provider, call(0, "c1", kind, arguments), tools=[{"type": kind}])
    assert (item["type"], item["call_id"], item[member]) == (f"{kind}_call", "c1", given)
    assert provider.last.json["tools"][0]["function"]["name"] == kind
    result = {"type": f"{kind}_call_output", "call_id": "c1", "output": "done"}
    await output(house, provider, {"content": "ok"}, input=[{"role": "user", "content": "Hi"}, item, result])
    _, called, answered = provider.last.json["messages"]
    assert orjson.loads(called["tool_calls"][0]["function"]["arguments"]) == given
    assert (answered["role"], answered["content"]) == ("tool", "done")


async def test_a_patch_that_is_none_is_not_given_to_the_client_as_one(house: House, provider: FakeProvider) -> None:
    said = call(0, "c1", "apply_patch", '{"type":"update_file","path":"a"}')
    (item,) = await output(house, provider, said, tools=[{"type": "apply_patch"}])
    assert (item["type"], item["name"]) == ("function_call", "apply_patch")


def test_a_shell_in_openais_container_is_dropped() -> None:
    table = ToolTable.of([{"type": "shell", "environment": {"type": "container_auto"}}])
    assert (table.offered, table.dropped) == ([], ["shell"])


async def test_an_unstreamed_answer_has_the_same_items(house: House, provider: FakeProvider) -> None:
    answer = completion("")
    answer["choices"][0]["message"] = {
        "role": "assistant", "content": None, "reasoning_content": "Hm.",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "files__look", "arguments": "{}"}}],
    }  # fmt: skip
    answer["choices"][0]["finish_reason"] = "tool_calls"
    provider.answers(answer)
    status, response = await house.call("POST", "/v1/responses", {"model": "m", "input": "Hi", "tools": [FILES]})
    assert (status, response["status"]) == (200, "completed")
    assert [one["type"] for one in response["output"]] == ["reasoning", "function_call"]
    assert response["output"][1]["namespace"] == "files"


async def test_state_of_reasoning_comes_as_encrypted_content_where_it_is_wanted(
    house: House, provider: FakeProvider
) -> None:
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "sig", "index": 0}]
    delta = {"reasoning_content": "Hm.", "reasoning_details": details}
    (wanted,) = await output(house, provider, delta, include=["reasoning.encrypted_content"])
    packed = unpack(wanted["encrypted_content"])
    assert packed is not None
    assert packed.details[0]["signature"] == "sig"
    (unwanted,) = await output(house, provider, delta)
    assert "encrypted_content" not in unwanted


async def test_reasoning_goes_round_through_the_client(house: House, provider: FakeProvider) -> None:
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "sig", "index": 0}]
    deltas = [{"reasoning_content": "Hm.", "reasoning_details": details}, call(0, "c1", "look", "{}")]
    tools = [{"type": "function", "name": "look", "parameters": {}}]
    include = {"include": ["reasoning.encrypted_content"], "tools": tools}
    items = await output(house, provider, *deltas, **include)
    provider.streams(*said({"content": "Done."}))
    result = {"type": "function_call_output", "call_id": "c1", "output": "Found."}
    await house.events(input=[{"role": "user", "content": "Hi"}, *items, result], **include)
    sent = provider.last.json["messages"]
    assert [one["role"] for one in sent] == ["user", "assistant", "tool"]
    assert sent[1]["reasoning_details"][0]["signature"] == "sig"
    assert orjson.loads(sent[1]["tool_calls"][0]["function"]["arguments"]) == {}
