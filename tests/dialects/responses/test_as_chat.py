"""What a chat provider is asked: each kind of item, tool and parameter of a Responses request, one by one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest
from llmproxy.core.trace import Trace
from llmproxy.dialects.responses.dialect import DIALECT
from llmproxy.dialects.responses.request import parse_response
from llmproxy.wire.foreign_reasoning import Packed, pack

IMAGE = "data:image/png;base64,AAAA"
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


def asked(input: Any = "Hi", **members: Any) -> Chat:
    """The chat that a request becomes."""
    raw = orjson.dumps({"model": "m", "input": input, **members})
    return DIALECT.as_chat(parse_response(raw, Trace("req", 1700000000), dialect=DIALECT))


def messages(*items: Json, **members: Any) -> list[Json]:
    return asked(list(items), **members).messages


def user(text: str) -> Json:
    return {"role": "user", "content": [{"type": "input_text", "text": text}]}


def function_call(id: str, name: str = "look", **members: Any) -> Json:
    return {"type": "function_call", "id": f"fc_{id}", "call_id": id, "name": name, "arguments": "{}", **members}


def output(id: str, said: Any = "done") -> Json:
    return {"type": "function_call_output", "call_id": id, "output": said}


def called(id: str, name: str = "look", arguments: str = "{}") -> Json:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("data", "members", "kind"),
    [
        ("iVBORw0KGgo=", {}, "png"),
        ("/9j/4AAQ", {}, "jpeg"),
        ("AAAA", {"output_format": "webp"}, "webp"),
        ("AAAA", {}, "png"),
    ],
)
def test_an_image_that_the_model_made_is_one_of_the_assistants(data: str, members: Json, kind: str) -> None:
    made = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": data, **members}
    image = {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}}
    assert messages(user("Draw"), made, user("Redder"))[1] == {"role": "assistant", "content": None, "images": [image]}


def test_an_image_that_is_only_named_is_no_turn() -> None:
    said = messages(
        user("Draw"), {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": None}
    )
    assert [one["role"] for one in said] == ["user"]


# Messages


def test_a_text_is_a_users_message() -> None:
    assert asked("Hi").messages == [{"role": "user", "content": "Hi"}]


def test_instructions_and_the_first_system_messages_are_one_system_prompt() -> None:
    said = messages(
        {"role": "developer", "content": "Two."},
        {"role": "system", "content": "Three."},
        user("Hi"),
        instructions="One.",
    )
    assert said == [{"role": "system", "content": "One.\n\nTwo.\n\nThree."}, {"role": "user", "content": "Hi"}]


def test_a_later_system_message_stays_in_its_place() -> None:
    said = messages(user("Hi"), {"type": "message", "role": "developer", "content": "Now be brief."}, user("Go on"))
    assert [one["role"] for one in said] == ["user", "system", "user"]


def test_images_and_files_become_parts() -> None:
    parts = [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": IMAGE, "detail": "high"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
    ]
    assert messages({"role": "user", "content": parts})[0]["content"] == [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": IMAGE, "detail": "high"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
    ]


# Grouping


def test_what_the_model_said_in_a_row_is_one_message() -> None:
    said = messages(
        user("Hi"),
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}], "content": None},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        function_call("a"), function_call("b"), output("a", "A"), output("b", "B"),
    )  # fmt: skip
    assert said[1:] == [
        {
            "role": "assistant", "content": "I look.", "reasoning_content": "Hm.",
            "tool_calls": [called("a"), called("b")],
        },
        {"role": "tool", "tool_call_id": "a", "content": "A"},
        {"role": "tool", "tool_call_id": "b", "content": "B"},
    ]  # fmt: skip


def test_results_follow_their_calls_wherever_they_stood() -> None:
    said = messages(
        user("Hi"), function_call("a"), function_call("b"), output("b", "B"), user("Well?"), output("a", "A")
    )
    assert [one.get("tool_call_id") for one in said] == [None, None, "a", "b", None]
    assert said[-1]["content"] == "Well?"


def test_a_call_without_a_result_is_answered_for() -> None:
    assert messages(user("Hi"), function_call("a"))[-1] == {"role": "tool", "tool_call_id": "a", "content": "aborted"}


def test_a_result_without_a_call_is_told_by_the_user() -> None:
    assert messages(user("Hi"), output("zz", "Found."))[-1] == {
        "role": "user",
        "content": "[Result of the tool call zz]\nFound.",
    }


def test_images_in_results_come_after_all_results() -> None:
    picture = [{"type": "input_text", "text": "A"}, {"type": "input_image", "image_url": IMAGE}]
    said = messages(user("Hi"), function_call("a"), function_call("b"), output("a", picture), output("b", "B"))
    assert [one["role"] for one in said] == ["user", "assistant", "tool", "tool", "user"]
    assert said[2]["content"] == "A\n[image below]"
    assert said[4]["content"] == [{"type": "image_url", "image_url": {"url": IMAGE}}]


# Reasoning


def test_state_that_was_packed_for_the_client_is_unpacked() -> None:
    details = ({"type": "reasoning.text", "text": "Hm.", "signature": "sig"},)
    blob = pack(Packed(details, "a", {"extra_content": {"google": {"thought_signature": "s"}}}))
    said = messages(
        user("Hi"), {"type": "reasoning", "summary": [], "encrypted_content": blob}, function_call("a"), output("a")
    )
    assert said[1]["reasoning_details"] == list(details)
    assert said[1]["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "s"}}


def test_state_of_somebody_elses_is_left_out() -> None:
    said = messages(user("Hi"), {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAB"}, function_call("a"))
    assert "reasoning_details" not in said[1]


# Tools


def test_a_function_is_nested_for_chat() -> None:
    chat = asked(tools=[{**LOOK, "description": "Looks.", "strict": True}])
    assert chat.body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "look", "description": "Looks.", "parameters": LOOK["parameters"], "strict": True,
            },
        }
    ]  # fmt: skip


def test_strict_is_left_out_where_it_was_not_said() -> None:
    assert "strict" not in asked(tools=[LOOK]).body["tools"][0]["function"]


def test_no_tools_are_no_tools() -> None:
    body = asked(tools=[], tool_choice="auto", parallel_tool_calls=False).body
    assert body.keys().isdisjoint(("tools", "tool_choice", "parallel_tool_calls"))


def test_a_custom_tool_is_a_function_with_one_text() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    (tool,) = asked(tools=[{"type": "custom", "name": "apply_patch", "description": "Edits.", "format": grammar}]).body[
        "tools"
    ]
    function = tool["function"]
    assert function["parameters"]["required"] == ["input"]
    assert "start: x" in function["description"]
    assert function["description"].startswith("Edits.")


def test_namespaces_are_flattened_within_chats_rules() -> None:
    long = {"type": "function", "name": "n" * 60}
    tools = [{"type": "namespace", "name": "mcp.files", "tools": [LOOK, long]}]
    names = [one["function"]["name"] for one in asked(tools=tools).body["tools"]]
    assert names[0] == "mcp_files__look"
    assert len(names[1]) == 64


def test_history_uses_the_names_that_are_offered() -> None:
    tools = [{"type": "namespace", "name": "files", "tools": [LOOK]}]
    said = messages(user("Hi"), function_call("a", namespace="files"), output("a"), tools=tools)
    assert said[1]["tool_calls"][0]["function"]["name"] == "files__look"


def test_tools_inside_the_input_are_offered() -> None:
    chat = asked([{"type": "additional_tools", "role": "developer", "tools": [LOOK]}, user("Hi")])
    assert [one["function"]["name"] for one in chat.body["tools"]] == ["look"]


def test_tools_that_only_openai_runs_are_dropped_and_named() -> None:
    chat = asked(tools=[LOOK, {"type": "web_search", "external_web_access": True}, {"type": "tool_search"}])
    assert len(chat.body["tools"]) == 1
    assert chat.trace.dropped == ["web_search", "tool_search"]


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("required", "required"),
        ("none", "none"),
        ({"type": "function", "name": "look"}, {"type": "function", "function": {"name": "look"}}),
        ({"type": "custom", "name": "look"}, {"type": "function", "function": {"name": "look"}}),
        ({"type": "shell"}, {"type": "function", "function": {"name": "shell"}}),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]}, "required"),
    ],
)
def test_tool_choice(choice: Any, wanted: Any) -> None:
    chat = asked(tools=[LOOK, {"type": "shell"}], tool_choice=choice)
    assert chat.body["tool_choice"] == wanted
    narrowed = isinstance(choice, dict) and choice["type"] == "allowed_tools"
    assert len(chat.body["tools"]) == (1 if narrowed else 2)


def test_custom_calls_of_the_past_are_calls_of_the_function() -> None:
    said = messages(
        user("Hi"),
        {"type": "custom_tool_call", "call_id": "a", "name": "exec", "input": "1+1"},
        {"type": "custom_tool_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "2"}]},
    )
    assert orjson.loads(said[1]["tool_calls"][0]["function"]["arguments"]) == {"input": "1+1"}
    assert said[2] == {"role": "tool", "tool_call_id": "a", "content": "2"}


# Parameters


def test_parameters_have_chats_names() -> None:
    schema = {"type": "object"}
    format = {"type": "json_schema", "name": "city", "schema": schema, "strict": True}
    body = asked(
        max_output_tokens=100, temperature=0.2, top_p=0.9, reasoning={"effort": "high", "summary": "auto"},
        text={"format": format}, top_logprobs=2,
    ).body  # fmt: skip
    assert body["max_completion_tokens"] == 100
    assert (body["temperature"], body["top_p"], body["reasoning_effort"]) == (0.2, 0.9, "high")
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "city", "schema": schema, "strict": True},
    }
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)


def test_a_stream_asks_for_its_usage() -> None:
    body = asked(stream=True).body
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_the_last_configuration_counts() -> None:
    updates = [{"type": "configuration_update", "reasoning": {"effort": effort}} for effort in ("low", "high")]
    assert asked([*updates, user("Hi")], reasoning={"effort": "none"}).body["reasoning_effort"] == "high"


def test_what_has_no_place_in_a_chat_is_named() -> None:
    told = {"role": "assistant", "phase": "commentary", "content": [{"type": "output_text", "text": "Well."}]}
    items = [user("Hi"), {"type": "web_search_call", "id": "ws_1", "status": "completed"}, told, user("So?")]
    chat = asked(items, prompt_cache_key="k", truncation="auto", text={"verbosity": "low"}, store=False, include=[])
    named = ["prompt_cache_key", "truncation", "text.verbosity", "input.web_search_call", "phase"]
    assert chat.trace.dropped == named
    assert [one["content"] for one in chat.messages] == ["Hi", "Well.", "So?"]


def test_messages_of_one_turn_are_paragraphs() -> None:
    told = [{"role": "assistant", "content": [{"type": "output_text", "text": text}]} for text in ("One.", "Two.")]
    assert messages(user("Hi"), *told, user("So?"))[1]["content"] == "One.\n\nTwo."


# What is not offered


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"truncation": "sometimes"}, "truncation"),
        ({"input": [{"type": "item_reference"}]}, "input[0].id"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": [{"type": "hologram"}]}, "input[0].type"),
        ({"input": [user("Hi"), {"type": "compaction", "encrypted_content": "gAAA"}]}, "input[1]"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
        ({"input": [{"role": "wizard", "content": "Hi"}]}, "input[0].role"),
        ({"input": 7}, "input"),
        ({"input": None}, "input"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"previous_response_id": "r", "conversation": "c"}, "conversation"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(members: Json, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        asked(**members)
    assert caught.value.param == param


def test_a_reference_to_unknown_reasoning_is_left_out() -> None:
    assert len(messages(user("Hi"), {"type": "item_reference", "id": "rs_1"})) == 1
