"""A Messages request as the chat that it is to a provider of another dialect, item by item."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.trace import Trace
from llmproxy.dialects.messages.dialect import DIALECT
from llmproxy.dialects.messages.pass_on import own_only
from llmproxy.dialects.messages.request import parse_messages
from llmproxy.testing import FakeProvider
from llmproxy.wire.foreign_reasoning import Packed, pack
from tests.dialects.messages.house import House, checked, said
from tests.dialects.streams import call

CAPTURES = Path(__file__).parents[4] / "shared" / "captures"
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}
IMAGE = {"type": "image", "source": PNG}
AS_URL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}}


def read(**body: Any) -> Chat:
    whole = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], **body}
    return parse_messages(orjson.dumps(whole), Trace("id"), dialect=DIALECT)


def chat(**body: Any) -> Chat:
    return DIALECT.as_chat(read(**body))


def messages(*turns: Json, **body: Any) -> list[Json]:
    return list(chat(messages=list(turns), **body).body["messages"])


def user(*blocks: Any) -> Json:
    return {
        "role": "user",
        "content": [{"type": "text", "text": one} if isinstance(one, str) else one for one in blocks],
    }


def used(id: str, name: str = "look", **input: Any) -> Json:
    return {"type": "tool_use", "id": id, "name": name, "input": input}


def result(id: str, content: Any, **more: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


def test_the_system_prompt_is_the_first_message_without_the_accounting_line() -> None:
    system = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=1"},
        {"type": "text", "text": "One.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Two."},
    ]
    assert messages(user("Hi"), system=system)[0] == {"role": "system", "content": "One.\n\nTwo."}


def test_a_system_message_in_the_midst_is_a_reminder_of_the_users() -> None:
    made = messages(user("Hi"), {"role": "system", "content": "Be brief."})
    assert made == [{"role": "user", "content": "Hi\n\n<system-reminder>\nBe brief.\n</system-reminder>"}]


def test_images_and_documents_are_parts() -> None:
    pdf = {"type": "document", "title": "a.pdf", "source": {**PNG, "media_type": "application/pdf"}}
    text = {"type": "document", "title": "Notes", "source": {"type": "text", "data": "Some text."}}
    linked = {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}
    [made] = messages(user("See", IMAGE, pdf, text, linked))
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,iVBORw0K"}
    assert made["content"] == [
        {"type": "text", "text": "See"},
        AS_URL,
        {"type": "file", "file": file},
        {"type": "text", "text": "Notes\n\nSome text."},
        {"type": "file", "file": {"file_data": "https://example.com/a.pdf"}},
    ]


def test_results_come_first_in_the_order_of_the_calls_and_their_images_after_all_of_them() -> None:
    made = messages(
        user("Hi"),
        {"role": "assistant", "content": [used("a"), used("b", at="sky")]},
        user("And?", result("b", [{"type": "text", "text": "B"}, IMAGE]), result("a", "no", is_error=True)),
    )
    assert [one["role"] for one in made] == ["user", "assistant", "tool", "tool", "user"]
    assert [(one["tool_call_id"], one["content"]) for one in made[2:4]] == [
        ("a", "Error: no"),
        ("b", "B\n\n[image below]"),
    ]
    assert made[4]["content"] == [AS_URL, {"type": "text", "text": "And?"}]
    assert made[1]["tool_calls"][1]["function"] == {"name": "look", "arguments": '{"at":"sky"}'}


def test_a_call_without_a_result_is_answered_for() -> None:
    made = messages(user("Hi"), {"role": "assistant", "content": [used("a")]}, user("Never mind."))
    assert made[2] == {"role": "tool", "tool_call_id": "a", "content": "aborted"}


def test_a_result_without_a_call_is_told_as_text() -> None:
    [made] = messages(user(result("x", "found")))
    assert made["content"] == "[Result of the tool call x]\nfound"


def test_thoughts_come_back_with_the_state_that_was_packed_into_them() -> None:
    detail = {"type": "reasoning.encrypted", "data": "abc", "format": "other-v1"}
    bound = pack(Packed((), "a", {"extra_content": {"google": {"thought_signature": "sig"}}}))
    turn = [
        {"type": "thinking", "thinking": "Hm.", "signature": pack(Packed((detail,)))},
        {"type": "redacted_thinking", "data": bound},
        used("a"),
    ]
    made = messages(user("Hi"), {"role": "assistant", "content": turn}, user(result("a", "x")))[1]
    assert (made["reasoning_content"], made["reasoning_details"]) == ("Hm.", [detail])
    assert made["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "sig"}}


def test_anthropics_own_signatures_go_to_nobody_else() -> None:
    turn = [{"type": "thinking", "thinking": "Hm.", "signature": "EqoB"}, {"type": "text", "text": "Yes"}]
    made = messages(user("Hi"), {"role": "assistant", "content": turn}, user("Go on."))[1]
    assert made == {"role": "assistant", "content": "Yes", "reasoning_content": "Hm."}


def test_tools_are_functions_and_choices_have_their_words() -> None:
    schema = {"type": "object", "properties": {"at": {"type": "string"}}}
    tool = {"name": "look", "description": "Looks.", "input_schema": schema, "cache_control": {"type": "ephemeral"}}
    body = chat(tools=[tool], tool_choice={"type": "any", "disable_parallel_tool_use": True}).body
    function = {"name": "look", "description": "Looks.", "parameters": schema}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    forced = chat(tools=[tool], tool_choice={"type": "tool", "name": "look"}).body["tool_choice"]
    assert forced == {"type": "function", "function": {"name": "look"}}


def test_a_deferred_tool_is_offered_once_a_search_has_found_it() -> None:
    def tool(name: str) -> Json:
        return {"name": name, "input_schema": {"type": "object"}, "defer_loading": True}

    found = result("s", [{"type": "tool_reference", "tool_name": "fetch"}])
    asked = chat(
        messages=[user("Hi"), {"role": "assistant", "content": [used("s", "ToolSearch")]}, user(found)],
        tools=[tool("fetch"), tool("DeferredToolPlaceholder")],
    )
    assert [one["function"]["name"] for one in asked.body["tools"]] == ["fetch"]
    assert asked.body["messages"][2]["content"] == "Tool fetch is now available."


def test_tools_that_anthropic_runs_are_left_out_and_named() -> None:
    asked = chat(tools=[{"type": "web_search_20250305", "name": "web_search"}], tool_choice={"type": "auto"})
    assert "tools" not in asked.body
    assert "tool_choice" not in asked.body
    assert asked.trace.dropped == ["tools.web_search_20250305"]


def test_tools_that_the_client_runs_are_functions_of_their_name() -> None:
    asked = chat(tools=[{"type": "bash_20250124", "name": "bash"}])
    assert asked.body["tools"][0]["function"]["name"] == "bash"


@pytest.mark.parametrize(
    ("body", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 8000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "high"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, None),
    ],
)
def test_thinking_is_an_effort(body: Json, effort: str | None) -> None:
    assert chat(**body).body.get("reasoning_effort") == effort


async def test_a_name_that_chats_do_not_allow_is_another_one_and_comes_back(
    house: House, provider: FakeProvider
) -> None:
    name = "mcp__a_server_with_a_long_name__" + "x" * 60
    tools = [{"name": name, "input_schema": {"type": "object", "properties": {}}}]
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [used("a", name)]},
        user(result("a", "x")),
    ]
    first = chat(messages=turns, tools=tools, tool_choice={"type": "tool", "name": name})
    told = first.body["tools"][0]["function"]["name"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", told)
    assert first.body["tool_choice"]["function"]["name"] == told
    assert first.messages[1]["tool_calls"][0]["function"]["name"] == told
    provider.streams(*said(call(0, "c", told, "{}"), finish="tool_calls"))
    events = await house.events(messages=turns, tools=tools)
    assert [one["content_block"]["name"] for one in events if one["type"] == "content_block_start"] == [name]


def test_a_schema_is_a_response_format() -> None:
    format = {"type": "json_schema", "schema": {"type": "object"}}
    made = chat(output_config={"format": format}).body["response_format"]
    assert made == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }


def test_what_a_chat_has_no_place_for_is_named() -> None:
    marked = [{"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]}]
    asked = chat(messages=marked, context_management={"edits": []}, metadata={"user_id": "x" * 100})
    assert asked.trace.dropped == ["context_management", "cache_control", "metadata.user_id"]


@pytest.mark.parametrize("name", ["mcp_servers", "thread"])
def test_what_changes_the_meaning_is_refused(name: str) -> None:
    with pytest.raises(BadRequest) as caught:
        chat(**{name: [{"url": "x"}]})
    assert caught.value.param == name


def test_a_request_that_is_passed_on_is_the_clients_own_bytes() -> None:
    asked = read(system="x")
    assert own_only(asked) is asked


def test_other_models_thoughts_are_taken_out_before_anthropic_sees_them() -> None:
    ours = {"type": "thinking", "thinking": "Hm.", "signature": pack(Packed(({"data": "abc"},)))}
    theirs = {"type": "thinking", "thinking": "Hm.", "signature": "EqoB"}
    unsigned = {"type": "web_search_result_location", "url": "https://example.com", "encrypted_index": ""}
    text = {"type": "text", "text": "Yes", "citations": [unsigned]}
    turns = [user("Hi"), {"role": "assistant", "content": [ours, theirs, text]}, user("Go on.")]
    kept = own_only(read(messages=turns)).body["messages"][1]["content"]
    assert kept == [theirs, {"type": "text", "text": "Yes", "citations": []}]


def captured() -> list[Any]:
    """The bodies that Claude Code and others have sent to /v1/messages."""
    found = []
    for file in sorted(CAPTURES.glob("*.json")) if CAPTURES.is_dir() else ():
        for number, one in enumerate(_requests(orjson.loads(file.read_bytes()))):
            found.append(pytest.param(one, id=f"{file.stem}-{number}"))
    return found


def _requests(value: Any) -> list[Json]:
    if isinstance(value, list):
        return [one for inner in value for one in _requests(inner)]
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("messages"), list) and "max_tokens" in value and "model" in value:
        return [value]
    return [one for inner in value.values() for one in _requests(inner)]


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captured requests are not beside this folder")
@pytest.mark.parametrize("body", captured() or [None])
async def test_what_real_clients_send_is_answered(house: House, provider: FakeProvider, body: Json) -> None:
    provider.streams(*said({"content": "Hi"}))
    if body.get("stream"):
        checked(await house.stream(**{**body, "model": "m"}))
    else:
        await house.ask(**{**body, "model": "m"})
    sent = provider.last.json
    calls = [call["id"] for one in sent["messages"] for call in one.get("tool_calls") or ()]
    answered = [one["tool_call_id"] for one in sent["messages"] if one["role"] == "tool"]
    assert calls == answered
    assert not any("DeferredToolPlaceholder" in str(tool) for tool in sent.get("tools") or ())
    assert "x-anthropic-billing-header" not in str(sent)
