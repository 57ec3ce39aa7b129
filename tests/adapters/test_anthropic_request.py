"""What Claude is asked for a chat request: messages, tools, thinking and parameters in Messages' words."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from llmproxy.adapters.anthropic import Anthropic

from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat, Json, whole
from llmproxy.core.errors import BadRequest
from llmproxy.wire.foreign_reasoning import Packed, pack

OPUS, BUDGETED, NEWEST = "claude-opus-4-8", "claude-sonnet-4-5", "claude-opus-5-5"
HELLO = [{"role": "user", "content": "Hello"}]
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
PNG = "iVBORw0KGgo="


def chat_of(messages: list[Json] | None = None, model: str = OPUS, **members: Any) -> Chat:
    return Chat({"model": model, "messages": messages or HELLO, **members}, model)


def adapter(**options: object) -> Anthropic:
    return Anthropic(Account("anthropic", api_key="sk-ant-x", options=options))


def sent(messages: list[Json] | None = None, model: str = OPUS, **members: Any) -> Json:
    asked: Json = orjson.loads(whole(adapter().request(chat_of(messages, model, **members)).body))
    return asked


def dropped(messages: list[Json] | None = None, model: str = OPUS, **members: Any) -> list[str]:
    chat = chat_of(messages, model, **members)
    adapter().request(chat)
    return chat.trace.dropped


def called(*ids: str, **members: Any) -> Json:
    calls = [{"id": id, "type": "function", "function": {"name": "look", "arguments": '{"at":"sea"}'}} for id in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls, **members}


def result(id: str, content: Any = "calm", **members: Any) -> Json:
    return {"role": "tool", "tool_call_id": id, "content": content, **members}


def use(id: str) -> Json:
    return {"type": "tool_use", "id": id, "name": "look", "input": {"at": "sea"}}


def answer(id: str, content: Any = "calm") -> Json:
    return {"type": "tool_result", "tool_use_id": id, "content": content}


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def signed(signature: str, format: str = "anthropic-claude-v1") -> Json:
    detail = {"type": "reasoning.text", "text": "Hm.", "signature": signature, "format": format, "index": 0}
    return {"reasoning_details": [detail]}


# Where it is sent


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1", "https://api.anthropic.com/v1/messages"),
        ("https://a.example/anthropic/v1/messages", "https://a.example/anthropic/v1/messages"),
        ("https://a.example/anthropic?x=1", "https://a.example/anthropic/v1/messages?x=1"),
    ],
)
def test_the_address_may_be_written_with_or_without_its_version(base: str, url: str) -> None:
    assert Anthropic(Account("anthropic", base, "k")).request(chat_of()).url == url


def test_the_key_and_a_version_are_in_the_headers_and_the_client_s_betas_pass() -> None:
    chat = Chat({"messages": HELLO}, OPUS, headers={"anthropic-beta": "one"})
    account = Account("anthropic", api_key="k", headers={"Anthropic-Beta": "two"})
    headers = Anthropic(account).request(chat).headers
    assert headers["x-api-key"] == "k"
    assert headers["anthropic-version"] == "2023-06-01"
    assert headers["anthropic-beta"] == "one,two"


def test_models_are_asked_for_by_pages() -> None:
    assert adapter().models_request("claude-a").url.endswith("/v1/models?limit=1000&after_id=claude-a")


# Messages


def test_system_messages_at_the_beginning_are_the_system_prompt() -> None:
    asked = sent([{"role": "system", "content": "Be brief."}, {"role": "developer", "content": "Now."}, *HELLO])
    assert asked["system"] == [text("Be brief."), text("Now.")]
    assert asked["messages"] == [{"role": "user", "content": [text("Hello")]}]


def test_a_later_system_message_stands_behind_the_user_s_turn_or_in_it() -> None:
    later = [*HELLO, {"role": "system", "content": "Be brief."}]
    assert sent(later)["messages"][-1] == {"role": "system", "content": [text("Be brief.")]}
    reminder = "<system-reminder>\nBe brief.\n</system-reminder>"
    assert sent(later, BUDGETED)["messages"] == [{"role": "user", "content": [text("Hello"), text(reminder)]}]


def test_results_of_tools_come_first_in_the_order_of_the_calls() -> None:
    asked = sent([*HELLO, called("a", "b"), result("b", "rough"), {"role": "user", "content": "And?"}, result("a")])
    assert asked["messages"][1] == {"role": "assistant", "content": [use("a"), use("b")]}
    assert asked["messages"][2] == {"role": "user", "content": [answer("a"), answer("b", "rough"), text("And?")]}


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    asked = sent([*HELLO, called("a"), {"role": "user", "content": "And?"}])
    assert asked["messages"][2]["content"] == [answer("a", "No result was given."), text("And?")]
    assert dropped([*HELLO, called("a"), {"role": "user", "content": "And?"}]) == ["messages"]


def test_a_result_that_answers_no_call_is_the_client_s_mistake() -> None:
    with pytest.raises(BadRequest) as caught:
        sent([*HELLO, result("a")])
    assert caught.value.param == "messages[1].tool_call_id"


def test_a_result_may_hold_images_and_be_an_error() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    asked = sent([*HELLO, called("a"), result("a", [{"type": "text", "text": "x"}, image], is_error=True)])
    block = asked["messages"][2]["content"][0]
    assert block["is_error"] is True
    asked = sent([*HELLO, called("a"), result("a", "Error: no wind")])  # as other dialects' failures arrive here
    assert asked["messages"][2]["content"][0]["is_error"] is True
    assert block["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": PNG}


def test_ids_and_names_in_other_letters_are_written_otherwise_always_the_same() -> None:
    tool = {"type": "function", "function": {"name": "my.tool"}}
    call = {"id": "functions.x:0", "type": "function", "function": {"name": "my.tool", "arguments": ""}}
    turn = [{"role": "assistant", "tool_calls": [call]}, result("functions.x:0")]
    asked = sent([*HELLO, *turn, {"role": "user", "content": "Again."}, *turn], tools=[tool])
    uses = [asked["messages"][at]["content"][0] for at in (1, 3)]
    assert [(one["id"], one["name"], one["input"]) for one in uses] == [
        ("functions_x_0", "my_tool", {}),
        ("functions_x_0_2", "my_tool", {}),
    ]
    assert asked["messages"][4]["content"][0]["tool_use_id"] == "functions_x_0_2"
    assert asked["tools"][0]["name"] == "my_tool"


def test_the_client_s_name_comes_back_with_the_call() -> None:
    chat = chat_of(tools=[{"type": "function", "function": {"name": "my.tool"}}])
    block = {"type": "tool_use", "id": "t", "name": "my_tool", "input": {"a": 1}}
    body = {"type": "message", "id": "m", "model": OPUS, "content": [block], "stop_reason": "tool_use", "usage": {}}
    translator = adapter().translator(chat)
    list(translator.feed(orjson.dumps(body)))
    out = orjson.loads(b"".join(translator.finish()))
    assert out["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "my.tool", "arguments": '{"a":1}'}


def test_images_and_files_become_images_and_documents() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "https://a.example/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,SGk="}},
        {"type": "file", "file": {"file_id": "file_1"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
    ]
    blocks = sent([{"role": "user", "content": parts}])["messages"][0]["content"]
    assert [one["source"]["type"] for one in blocks] == ["url", "base64", "text", "file", "text"]
    assert blocks[1]["title"] == "a.pdf"
    assert blocks[2]["source"]["data"] == "Hi"


def test_sound_is_refused_by_name() -> None:
    with pytest.raises(BadRequest) as caught:
        sent([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}])
    assert caught.value.param == "messages[0].content[0]"


def test_an_unfinished_answer_is_continued_where_the_model_does_that() -> None:
    ends = [*HELLO, {"role": "assistant", "content": "It is "}]
    assert sent(ends, BUDGETED)["messages"][-1] == {"role": "assistant", "content": [text("It is")]}
    assert sent(ends)["messages"][-1] == {"role": "user", "content": [text("Continue.")]}


# Thoughts


def test_own_thoughts_go_back_byte_for_byte_and_others_not_at_all() -> None:
    foreign = pack(Packed(({"type": "reasoning.encrypted", "data": "x"},)))
    for message, expected in (
        (signed("c2ln+/=="), [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln+/=="}]),
        (signed("c2ln", "google-gemini-v1"), []),
        (signed(""), []),
        (signed(foreign), []),
        ({"reasoning_content": "Hm."}, []),
        (
            {"thinking_blocks": [{"type": "redacted_thinking", "data": "eA=="}]},
            [{"type": "redacted_thinking", "data": "eA=="}],
        ),
    ):
        asked = sent([*HELLO, called("a", **message), result("a")])
        assert asked["messages"][1]["content"] == [*expected, use("a")]


def test_a_turn_that_a_chat_cannot_say_goes_back_as_it_came() -> None:
    blocks = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        text("It is."),
    ]
    extra = {"extra_content": {"anthropic": {"content": blocks}}}
    turn = {"role": "assistant", "content": "It is.", **extra}
    assert sent([*HELLO, turn, *HELLO])["messages"][1]["content"] == blocks
    edited = {"role": "assistant", "content": "It was.", **extra}
    assert sent([*HELLO, edited, *HELLO])["messages"][1]["content"] == [text("It was.")]


def test_a_paused_turn_is_not_told_to_continue() -> None:
    blocks = [{"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}]
    turn = {"role": "assistant", "content": None, "extra_content": {"anthropic": {"content": blocks}}}
    assert sent([*HELLO, turn])["messages"][-1] == {"role": "assistant", "content": blocks}


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "told"),
    [
        (OPUS, "low", {"type": "adaptive", "display": "summarized"}, "low"),
        (OPUS, "none", {"type": "disabled"}, None),
        (OPUS, None, None, None),
        ("claude-opus-4-6", "xhigh", {"type": "adaptive"}, "max"),
        (BUDGETED, "medium", {"type": "enabled", "budget_tokens": 8192}, None),
        (BUDGETED, "minimal", {"type": "enabled", "budget_tokens": 1024}, None),
        (BUDGETED, "none", {"type": "disabled"}, None),
        (NEWEST, "none", None, "low"),
        ("claude-sonnet-5-5", "none", {"type": "between_tools"}, None),
        ("claude-sonnet-5-5", "max", {"type": "adaptive", "display": "summarized"}, "high"),
        ("claude-3-5-haiku-latest", "high", None, None),
    ],
)
def test_effort_is_put_as_the_model_takes_it(
    model: str, effort: str | None, thinking: Json | None, told: str | None
) -> None:
    asked = sent(model=model, reasoning_effort=effort)
    assert asked.get("thinking") == thinking
    assert (asked.get("output_config") or {}).get("effort") == told


def test_a_budget_leaves_room_for_the_answer() -> None:
    assert sent(model=BUDGETED, reasoning_effort="high", max_tokens=4000)["thinking"]["budget_tokens"] == 3000
    assert "thinking" not in sent(model=BUDGETED, reasoning_effort="high", max_tokens=1000)
    assert dropped(model=BUDGETED, reasoning_effort="high", max_tokens=1000) == ["reasoning_effort"]


def test_a_budget_is_left_out_where_the_turn_that_goes_on_has_no_thoughts() -> None:
    unsigned, own = ([*HELLO, called("a", **more), result("a")] for more in ({}, signed("c2ln")))
    assert "thinking" not in sent(unsigned, BUDGETED, reasoning_effort="low")
    assert dropped(unsigned, BUDGETED, reasoning_effort="low") == ["reasoning_effort"]
    assert "thinking" in sent(own, BUDGETED, reasoning_effort="low")
    assert "thinking" in sent(unsigned, OPUS, reasoning_effort="low")


def test_openrouter_s_and_messages_own_words_for_thinking_are_taken() -> None:
    assert sent(model=BUDGETED, reasoning={"max_tokens": 2000})["thinking"]["budget_tokens"] == 2000
    assert sent(reasoning={"effort": "high", "exclude": True})["thinking"] == {"type": "adaptive"}
    own = {"type": "enabled", "budget_tokens": 5000}
    assert sent(model=BUDGETED, thinking=own)["thinking"] == own
    asked = sent(thinking=own)
    assert (asked["thinking"]["type"], asked["output_config"]) == ("adaptive", {"effort": "medium"})


# Tools


def test_tools_keep_their_order_and_those_of_the_provider_their_words() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    asked = sent(tools=[search, LOOK, {"type": "function", "function": {"name": "wait"}}])
    empty = {"type": "object", "properties": {}}
    assert asked["tools"] == [
        search,
        {"name": "look", "input_schema": empty},
        {"name": "wait", "input_schema": empty},
    ]


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "look"}}, {"type": "tool", "name": "look"}),
    ],
)
def test_the_choice_of_a_tool(choice: Any, told: Json) -> None:
    assert sent(tools=[LOOK], tool_choice=choice)["tool_choice"] == told


def test_parallel_calls_can_be_switched_off() -> None:
    choice = sent(tools=[LOOK], parallel_tool_calls=False)["tool_choice"]
    assert choice == {"type": "auto", "disable_parallel_tool_use": True}


def test_a_forced_call_is_left_to_the_model_where_it_is_refused_and_that_is_told() -> None:
    for model, more in ((NEWEST, {}), (OPUS, {"reasoning_effort": "low"}), (BUDGETED, {"reasoning_effort": "low"})):
        forced: Json = {"tools": [LOOK], "tool_choice": "required", **more}
        assert sent(model=model, **forced)["tool_choice"] == {"type": "auto"}
        assert dropped(model=model, **forced) == ["tool_choice"]


def test_a_custom_tool_is_a_function_with_one_text_and_is_called_as_what_it_is() -> None:
    tools = [{"type": "custom", "custom": {"name": "patch", "description": "Patches."}}]
    assert sent(tools=tools)["tools"][0]["input_schema"]["required"] == ["input"]
    block = {"type": "tool_use", "id": "t", "name": "patch", "input": {"input": "*** Begin"}}
    body = {"type": "message", "id": "m", "model": OPUS, "content": [block], "stop_reason": "tool_use", "usage": {}}
    translator = adapter().translator(chat_of(tools=tools))
    list(translator.feed(orjson.dumps(body)))
    call = orjson.loads(b"".join(translator.finish()))["choices"][0]["message"]["tool_calls"][0]
    assert call == {"id": "t", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}


# The answer's form, and parameters


def test_a_schema_is_closed_and_what_its_grammar_does_not_know_is_described() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1}, "in": {"type": "object", "properties": {}}},
        "required": ["n"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    told = sent(response_format=form)["output_config"]["format"]["schema"]
    assert told["additionalProperties"] is False
    assert told["properties"]["in"]["additionalProperties"] is False
    assert told["properties"]["n"] == {"type": "integer", "description": "{minimum: 1}"}
    assert "JSON schema" in sent(model="claude-3-5-haiku-latest", response_format=form)["system"][0]["text"]


def test_an_object_as_such_is_an_instruction() -> None:
    assert "JSON" in sent(response_format={"type": "json_object"})["system"][-1]["text"]


@pytest.mark.parametrize(
    ("model", "tokens"),
    [(OPUS, 128_000), (BUDGETED, 64_000), ("claude-3-haiku-20240307", 4096), ("claude-opus-4-1", 8192)],
)
def test_the_answer_may_be_as_long_as_the_model_can(model: str, tokens: int) -> None:
    assert sent(model=model)["max_tokens"] == tokens
    assert sent(model=model, max_completion_tokens=7)["max_tokens"] == 7


def test_sampling_is_left_out_where_it_is_refused() -> None:
    assert dropped(temperature=0.2, top_p=0.9, top_k=3) == ["temperature", "top_p", "top_k"]
    assert dropped(temperature=1) == []
    assert sent(model="claude-3-haiku-20240307", temperature=1.7, top_p=0.9)["temperature"] == 1
    asked = sent(model=BUDGETED, temperature=0.2, top_p=0.9)
    assert asked["temperature"] == 0.2
    assert "top_p" not in asked
    assert dropped(model=BUDGETED, temperature=0.2, reasoning_effort="low") == ["temperature"]


def test_the_rest_has_other_names_or_none() -> None:
    asked = sent(stop=["END", " "], user="u1", service_tier="default", metadata={"a": "b"})
    assert asked["stop_sequences"] == ["END"]
    assert asked["metadata"] == {"user_id": "u1"}
    assert asked["service_tier"] == "standard_only"
    told = dropped(metadata={"a": "b"}, seed=1, logprobs=True, n=1, store=False, service_tier="flex", audio=None)
    assert told == ["metadata", "service_tier", "seed", "logprobs"]


def test_marks_for_the_cache_pass_and_one_is_set_only_where_it_is_wanted() -> None:
    mark = {"type": "ephemeral"}
    part = {"type": "text", "text": "Hello", "cache_control": mark}
    asked = sent([{"role": "user", "content": [part]}], tools=[{**LOOK, "cache_control": mark}])
    assert asked["messages"][0]["content"] == [part]
    assert asked["tools"][0]["cache_control"] == mark
    assert "cache_control" not in sent()
    for messages, expected in (
        (HELLO, {"type": "ephemeral", "ttl": "1h"}),
        ([{"role": "user", "content": [part]}], None),
    ):
        body = adapter(cache="1h").request(chat_of(messages)).body
        assert orjson.loads(whole(body)).get("cache_control") == expected


def test_a_row_of_the_config_corrects_the_table() -> None:
    rows = {"claude-opus-4-8*": {"forced": False, "max_output": 9}}
    body = adapter(models=rows).request(chat_of(tools=[LOOK], tool_choice="required")).body
    asked = orjson.loads(whole(body))
    assert (asked["max_tokens"], asked["tool_choice"]) == (9, {"type": "auto"})
    for wrong in ({"*": {"forcd": True}}, {"*": {"forced": 1}}, {"*": {"efforts": ["huge"]}}, {"*": 1}):
        with pytest.raises(ValueError, match="models"):
            adapter(models=wrong)


def test_what_came_is_rendered_the_same_when_more_comes_behind_it() -> None:
    """A prefix that changes costs the cache, and thoughts that are bound to it."""
    turns = [*HELLO, called("a", **signed("c2ln")), result("a"), {"role": "assistant", "content": "So."}, *HELLO]
    whole_one = sent(turns)["messages"]
    for end in (1, 3, 5):
        part = sent(turns[:end])["messages"]
        assert whole_one[: len(part)] == part


def test_a_count_of_tokens_asks_for_the_same_question() -> None:
    chat = chat_of([{"role": "system", "content": "Be brief."}, *HELLO], tools=[LOOK], temperature=1)
    asked = adapter().count_request(chat)
    assert asked.url.endswith("/v1/messages/count_tokens")
    assert set(orjson.loads(whole(asked.body))) == {"model", "messages", "system", "tools"}
    assert adapter().counted(b'{"input_tokens": 7}') == 7


def test_images_of_the_assistant_are_left_out_and_told() -> None:
    """Messages takes images from users only."""
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    talk: list[Json] = [*HELLO, {"role": "assistant", "content": "Here", "images": [image]}, *HELLO]
    assert PNG not in str(sent(talk))
    assert dropped(talk) == ["messages.images"]
