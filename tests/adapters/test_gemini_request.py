"""What Gemini is sent. Every body is read back with google-genai's own types, which refuse members they do not know."""

from __future__ import annotations

import base64
import random
from typing import Any

import orjson
import pytest
from google.genai import types
from llmproxy.adapters.gemini import Gemini
from pydantic import TypeAdapter

from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest, ModelNotFound

# The REST body's members and the SDK's type for each; the SDK has no type for the body as a whole.
MEMBERS: dict[str, Any] = {
    "contents": list[types.Content],
    "systemInstruction": types.Content,
    "tools": list[types.Tool],
    "toolConfig": types.ToolConfig,
    "safetySettings": list[types.SafetySetting],
    "generationConfig": types.GenerationConfig,
    "serviceTier": types.ServiceTier,
    "cachedContent": str,
    "labels": dict[str, str],
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "strict": True,
    },
}
TIME: Json = {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "properties": {}}}}


def asking(*messages: Json, model: str = "gemini-3.5-flash", **members: Any) -> Chat:
    return Chat({"model": "gemini/x", "messages": list(messages) or [user("hi")], **members}, model)


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def calling(*calls: tuple[str, str, str], **extra: Any) -> Json:
    made = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": text}, **extra}
        for id, name, text in calls
    ]
    return {"role": "assistant", "content": None, "tool_calls": made}


def result(id: str, content: Any) -> Json:
    return {"role": "tool", "tool_call_id": id, "content": content}


def gemini(**options: Any) -> Gemini:
    return Gemini(Account("gemini", api_key="AIzaSecret", options=options))


def rendered(chat: Chat, adapter: Gemini | None = None) -> Json:
    body: Json = orjson.loads((adapter or gemini()).request(chat).body)
    for name, value in body.items():
        TypeAdapter(MEMBERS[name]).validate_python(value)
    return body


def config(chat: Chat) -> Json:
    found: Json = rendered(chat).get("generationConfig", {})
    return found


def parts(body: Json, at: int = 0) -> list[Json]:
    found: list[Json] = body["contents"][at]["parts"]
    return found


# Where it goes


def test_a_streamed_question_asks_for_server_sent_events() -> None:
    outgoing = gemini().request(asking(stream=True))
    assert outgoing.url == (
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.5-flash:streamGenerateContent?alt=sse"
    )


def test_a_question_that_is_not_streamed_is_one_generate_content() -> None:
    assert gemini().request(asking()).url.endswith("/v1beta/models/gemini-3.5-flash:generateContent")


def test_the_key_goes_into_a_header_and_never_into_the_address() -> None:
    outgoing = gemini().request(asking())
    assert outgoing.headers["x-goog-api-key"] == "AIzaSecret"
    assert "AIza" not in outgoing.url


def test_an_access_token_of_vertex_is_a_bearer() -> None:
    outgoing = Gemini(Account("vertex", "https://h/v1/projects/p/publishers/google", "ya29.token")).request(asking())
    assert outgoing.headers["authorization"] == "Bearer ya29.token"
    assert outgoing.url.startswith("https://h/v1/projects/p/publishers/google/models/gemini-3.5-flash:")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9/v1beta"),
        ("http://127.0.0.1:9/", "http://127.0.0.1:9/v1beta"),
        ("https://proxy.example/google", "https://proxy.example/google/v1beta"),
        ("https://g.example/v1", "https://g.example/v1"),
        ("https://g.example/v1alpha/", "https://g.example/v1alpha"),
        ("https://g.example/v1beta/openai/", "https://g.example/v1beta"),
        ("https://g.example/v1beta/openai/chat/completions", "https://g.example/v1beta"),
        ("https://g.example/v1beta/models", "https://g.example/v1beta"),
        ("https://g.example/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", "https://g.example/v1beta"),
    ],
)
def test_a_base_url_without_a_version_gets_one(given: str, used: str) -> None:
    assert Gemini(Account("g", given)).request(asking()).url == f"{used}/models/gemini-3.5-flash:generateContent"


def test_a_query_in_the_address_goes_with_every_request() -> None:
    adapter = Gemini(Account("g", "https://g.example/v1beta?route=a"))
    assert adapter.request(asking()).url.endswith(":generateContent?route=a")
    assert adapter.request(asking(stream=True)).url.endswith(":streamGenerateContent?route=a&alt=sse")
    assert "?route=a&pageSize" in adapter.models_request().url


def test_a_key_in_the_address_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="api_key"):
        Gemini(Account("g", "https://g.example/v1beta?key=AIzaSecret"))


@pytest.mark.parametrize("model", ["", "../files", "models/../x", "a//b"])
def test_a_model_name_that_would_lead_elsewhere_is_not_found(model: str) -> None:
    with pytest.raises(ModelNotFound):
        gemini().request(asking(model=model))


def test_a_model_name_cannot_add_a_query() -> None:
    assert "models/a%3Fkey%3Db:generateContent" in gemini().request(asking(model="a?key=b")).url


# Messages


def test_the_first_system_messages_are_the_instruction_and_later_ones_are_said_by_the_user_in_their_place() -> None:
    first: list[Json] = [
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}]},
    ]
    later: Json = {"role": "developer", "content": "three"}
    body = rendered(asking(*first, user("hi"), calling(("a", "time", "{}")), later, result("a", "noon"), user("so?")))
    assert body["systemInstruction"] == {"parts": [{"text": "one"}, {"text": "two"}]}
    assert parts(body, 2) == [{"functionResponse": {"id": "a", "name": "time", "response": {"output": "noon"}}}]
    assert parts(body, 3) == [{"text": "<system-reminder>\nthree\n</system-reminder>"}, {"text": "so?"}]


def test_a_result_that_begins_with_error_is_a_failure() -> None:
    body = rendered(asking(user("hi"), calling(("a", "time", "{}")), result("a", "Error: no clock")))
    assert parts(body, 2)[0]["functionResponse"]["response"] == {"error": "no clock"}


def test_a_custom_tool_is_a_function_with_one_text() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: X"}}
    custom = {"type": "custom", "custom": {"name": "run", "description": "Runs.", "format": grammar}}
    call = {"id": "a", "type": "custom", "custom": {"name": "run", "input": "raw"}}
    chat = asking(user("hi"), {"role": "assistant", "tool_calls": [call]}, result("a", "ok"), tools=[custom])
    chosen = chat.with_fields(tool_choice={"type": "custom", "custom": {"name": "run"}})
    body = rendered(chosen)
    assert parts(body, 1)[0]["functionCall"] == {"id": "a", "name": "run", "args": {"input": "raw"}}
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": ["run"]}
    [declared] = body["tools"][0]["functionDeclarations"]
    assert declared["description"] == "Runs.\n\nPut the raw text into `input`.\n\nIt must follow this lark:\nstart: X"
    assert declared["parametersJsonSchema"]["required"] == ["input"]


def test_gemma_has_no_system_instruction_so_it_opens_the_first_question() -> None:
    body = rendered(asking({"role": "system", "content": "be brief"}, user("hi"), model="gemma-3-27b-it"))
    assert "systemInstruction" not in body
    assert parts(body) == [{"text": "be brief"}, {"text": "hi"}]


def test_a_question_of_instructions_only_is_asked_by_the_user() -> None:
    body = rendered(asking({"role": "system", "content": "say hi"}))
    assert body["contents"] == [{"role": "user", "parts": [{"text": "say hi"}]}]


def test_neighbours_of_one_role_are_one_content() -> None:
    body = rendered(asking(user("a"), user("b"), {"role": "assistant", "content": "c"}, user("d")))
    assert [(content["role"], len(content["parts"])) for content in body["contents"]] == [
        ("user", 2),
        ("model", 1),
        ("user", 1),
    ]


def test_empty_text_is_left_out() -> None:
    body = rendered(asking(user([{"type": "text", "text": ""}, {"type": "text", "text": "x"}]), user("")))
    assert body["contents"] == [{"role": "user", "parts": [{"text": "x"}]}]


def test_an_inline_picture_keeps_its_bytes_and_kind() -> None:
    body = rendered(asking(user([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}])))
    assert parts(body) == [{"inlineData": {"mimeType": "image/png", "data": PIXEL}}]


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("https://x.example/a/b.png?size=2", {"mimeType": "image/png", "fileUri": "https://x.example/a/b.png?size=2"}),
        ("http://x.example/picture", {"mimeType": "image/jpeg", "fileUri": "http://x.example/picture"}),
        ("gs://bucket/doc.pdf", {"mimeType": "application/pdf", "fileUri": "gs://bucket/doc.pdf"}),
        (
            "https://generativelanguage.googleapis.com/v1beta/files/abc",
            {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"},
        ),
    ],
)
def test_a_picture_by_address_is_fetched_by_google(url: str, file: Json) -> None:
    assert parts(rendered(asking(user([{"type": "image_url", "image_url": url}])))) == [{"fileData": file}]


def test_sound_becomes_inline_data() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    assert parts(rendered(asking(user([sound])))) == [{"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}]


@pytest.mark.parametrize(
    "file",
    [
        {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        {"filename": "a.pdf", "file_data": "AAAA"},
        {"file_data": "AA-A"},
    ],
)
def test_a_file_becomes_inline_data(file: Json) -> None:
    (part,) = parts(rendered(asking(user([{"type": "file", "file": file}]))))
    assert part["inlineData"]["mimeType"] == "application/pdf"
    base64.b64decode(part["inlineData"]["data"], validate=True)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,@@@"}},
        {"type": "image_url", "image_url": {"url": "ftp://x.example/a.png"}},
        {"type": "image_url", "image_url": {}},
        {"type": "input_audio", "input_audio": {"format": "wav"}},
        {"type": "file", "file": {"file_id": "file-123"}},
        {"type": "hologram"},
        7,
    ],
)
def test_a_part_that_cannot_be_given_is_refused_by_name(part: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        gemini().request(asking(user([part])))
    assert str(refused.value.param).startswith("messages[0].content")


@pytest.mark.parametrize("messages", [None, [], "hi", [7], [{"role": "wizard", "content": "x"}], [calling()]])
def test_messages_that_are_none_are_refused(messages: Any) -> None:
    with pytest.raises(BadRequest):
        gemini().request(Chat({"messages": messages}, "gemini-3.5-flash"))


@pytest.mark.parametrize(("detail", "resolution"), [("low", "MEDIA_RESOLUTION_LOW"), ("high", "MEDIA_RESOLUTION_HIGH")])
def test_detail_sets_the_resolution(detail: str, resolution: str) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": detail}}
    assert config(asking(user([picture])))["mediaResolution"] == resolution


def test_details_that_differ_are_dropped_with_a_trace() -> None:
    def picture(detail: str) -> Json:
        return {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": detail}}

    chat = asking(user([picture("low"), picture("high")]))
    assert "mediaResolution" not in config(chat)
    assert chat.trace.dropped == ["image_url.detail"]


@pytest.mark.parametrize("model", ["gemini-3.6-flash", "gemini-3.8-flash", "gemini-3.5-flash-lite", "gemini-9-pro"])
def test_newer_models_do_not_continue_an_answer(model: str) -> None:
    with pytest.raises(BadRequest, match="does not continue an answer"):
        gemini().request(asking(user("a"), {"role": "assistant", "content": "b"}, model=model))


def test_older_models_continue_an_answer() -> None:
    body = rendered(asking(user("a"), {"role": "assistant", "content": "b"}, model="gemini-2.5-flash"))
    assert body["contents"][-1]["role"] == "model"


# Tools


def test_a_function_is_declared_with_its_schema_and_one_without_arguments_without() -> None:
    assert rendered(asking(tools=[WEATHER, TIME]))["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "Weather of a city",
                    "parametersJsonSchema": WEATHER["function"]["parameters"],
                },
                {"name": "time"},
            ]
        }
    ]


@pytest.mark.parametrize(
    ("choice", "calling_config"),
    [
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "time"}}, {"mode": "ANY", "allowedFunctionNames": ["time"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TIME]}},
            {"mode": "ANY", "allowedFunctionNames": ["time"]},
        ),
    ],
)
def test_tool_choice(choice: Any, calling_config: Json) -> None:
    body = rendered(asking(tools=[WEATHER, TIME], tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": calling_config}


def test_allowed_tools_that_are_no_must_are_the_only_ones_declared() -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TIME]}}
    body = rendered(asking(tools=[WEATHER, TIME], tool_choice=choice))
    assert body["tools"] == [{"functionDeclarations": [{"name": "time"}]}]
    assert "toolConfig" not in body


def test_a_round_of_parallel_tools() -> None:
    body = rendered(
        asking(
            user("?"),
            calling(("a", "weather", '{"city":"Rome"}'), ("b", "time", "")),
            result("b", "12:00"),
            result("a", '{"degrees": 20}'),
            user("thanks"),
            tools=[WEATHER, TIME],
        )
    )
    assert [part["functionCall"] for part in parts(body, 1)] == [
        {"id": "a", "name": "weather", "args": {"city": "Rome"}},
        {"id": "b", "name": "time", "args": {}},
    ]
    assert parts(body, 2) == [  # in one content, in the order of the calls
        {"functionResponse": {"id": "a", "name": "weather", "response": {"degrees": 20}}},
        {"functionResponse": {"id": "b", "name": "time", "response": {"output": "12:00"}}},
    ]
    assert parts(body, 3) == [{"text": "thanks"}]


def test_results_without_ids_answer_the_calls_in_order() -> None:
    body = rendered(asking(user("?"), calling(("", "a", ""), ("", "b", "")), result("", "1"), result("", "2")))
    responses = [part["functionResponse"] for part in parts(body, 2)]
    assert [(one["name"], one["response"]) for one in responses] == [("a", {"output": "1"}), ("b", {"output": "2"})]


def test_a_result_of_no_call_is_refused() -> None:
    with pytest.raises(BadRequest, match="answers no tool call"):
        gemini().request(asking(user("?"), result("x", "1")))


OURS = "call_0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("model", "id", "told"),
    [
        ("gemini-2.5-flash", "call_320", None),  # 2.x knows no ids: Vertex refuses them
        ("gemini-2.5-flash", "toolu_01A", None),
        ("gemini-2.0-flash", "", None),
        ("gemini-3-flash-preview", "call_320", "call_320"),  # as Gemini gives them
        ("gemini-3-flash-preview", "3ae8iwca", "3ae8iwca"),
        ("gemini-3-flash-preview", "toolu_01A", "toolu_01A"),
        ("gemini-3.1-pro-preview", OURS, None),  # it was given to a call without one
        ("gemini-3-flash-preview", "", None),
        ("gemini-3.5-flash", OURS, OURS),  # wants ids, whoever made them
        ("gemini-3.8-flash", "toolu_01A", "toolu_01A"),
        ("gemini-3.8-flash", "", "call_0"),
    ],
)
def test_a_call_and_its_result_have_the_id_that_the_model_takes(model: str, id: str, told: str | None) -> None:
    body = rendered(asking(user("?"), calling((id, "time", "{}")), result(id, "1"), model=model))
    assert parts(body, 1)[0]["functionCall"].get("id") == told
    assert parts(body, 2)[0]["functionResponse"].get("id") == told


@pytest.mark.parametrize("arguments", [7, [1], True])
def test_arguments_that_are_neither_text_nor_an_object_are_the_clients_mistake(arguments: Any) -> None:
    with pytest.raises(BadRequest) as refused:
        gemini().request(asking(user("?"), calling(("a", "time", arguments))))
    assert refused.value.param == "messages[1].tool_calls[0].function.arguments"


def test_a_picture_in_a_result_goes_inside_for_gemini_3_and_beside_it_before() -> None:
    content = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": f"data:image/png;base64,{PIXEL}"}]
    picture = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
    talk = (user("?"), calling(("a", "time", "")), result("a", content))
    new = rendered(asking(*talk, model="gemini-3-flash-preview"))
    old = rendered(asking(*talk, model="gemini-2.5-flash"))
    assert parts(new, 2)[0]["functionResponse"]["parts"] == [picture]
    assert parts(old, 2)[1:] == [picture]


@pytest.mark.parametrize("vendor", ["google", "vertex"])
def test_a_signature_that_the_client_sends_back_goes_with_its_call(vendor: str) -> None:
    signed = calling(("a", "time", ""), extra_content={vendor: {"thought_signature": "c2ln"}})
    assert parts(rendered(asking(user("?"), signed)), 1)[0]["thoughtSignature"] == "c2ln"


def test_a_lost_signature_is_replaced_by_the_sentinel_on_the_first_call_of_a_turn() -> None:
    body = rendered(asking(user("?"), calling(("a", "time", ""), ("b", "time", "")), model="gemini-3-flash-preview"))
    first, second = parts(body, 1)
    assert first["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in second


def test_models_before_gemini_3_need_no_sentinel() -> None:
    body = rendered(asking(user("?"), calling(("a", "time", "")), model="gemini-2.5-flash"))
    assert "thoughtSignature" not in parts(body, 1)[0]


def test_tools_that_google_runs_may_stand_beside_functions_on_gemini_3() -> None:
    body = rendered(asking(tools=[WEATHER, {"google_search": {}}, {"type": "code_interpreter"}]))
    assert body["tools"][1:] == [{"googleSearch": {}}, {"codeExecution": {}}]
    assert body["toolConfig"] == {"includeServerSideToolInvocations": True}


def test_before_gemini_3_functions_win_over_tools_that_google_runs() -> None:
    chat = asking(tools=[WEATHER, {"type": "web_search"}], model="gemini-2.5-flash")
    assert [list(tool) for tool in rendered(chat)["tools"]] == [["functionDeclarations"]]
    assert chat.trace.dropped == ["tools.strict", "tools.googleSearch"]


def test_web_search_options_switch_search_on() -> None:
    chat = asking(web_search_options={"search_context_size": "low"})
    assert rendered(chat)["tools"] == [{"googleSearch": {}}]
    assert chat.trace.dropped == ["web_search_options.search_context_size"]


def test_parts_of_googles_own_tools_come_back_as_they_were() -> None:
    part = {"toolCall": {"id": "1", "toolType": "GOOGLE_SEARCH_WEB", "args": {}}, "thoughtSignature": "c2ln"}
    said = {"role": "assistant", "content": "x", "extra_content": {"google": {"parts": [part, {"executableCode": {}}]}}}
    assert parts(rendered(asking(user("?"), said, user("!"))), 1) == [part, {"text": "x"}]


@pytest.mark.parametrize(
    "members",
    [
        {"tools": [{"type": "custom", "custom": {}}]},
        {"tools": "none"},
        {"tools": [{"type": "function"}]},
        {"tools": [{"warpDrive": {}}]},
        {"tools": [WEATHER], "tool_choice": "sometimes"},
        {"functions": [{"name": "x"}]},
        {"response_format": {"type": "regex"}},
        {"response_format": {"type": "json_schema"}},
        {"reasoning_effort": "heroic"},
    ],
)
def test_what_gemini_could_never_take_is_refused(members: Json) -> None:
    with pytest.raises(BadRequest):
        gemini().request(asking(**members))


# Settings


def test_numbers_go_by_their_gemini_names() -> None:
    chat = asking(
        model="gemini-2.0-flash",
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        seed=7,
        n=2,
        max_tokens=10,
        stop=["a", ""],
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logprobs=True,
        top_logprobs=3,
    )
    assert config(chat) == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "seed": 7,
        "candidateCount": 2,
        "maxOutputTokens": 10,
        "stopSequences": ["a"],
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 3,
    }
    assert chat.trace.dropped == []


def test_the_newer_of_two_limits_counts() -> None:
    assert config(asking(max_completion_tokens=5, max_tokens=9))["maxOutputTokens"] == 5


@pytest.mark.parametrize(
    "model", ["gemini-3.6-flash", "gemini-3.7-flash", "gemini-3.5-flash-lite", "gemini-flash-latest"]
)
def test_what_newer_models_refuse_is_dropped_with_a_trace(model: str) -> None:
    chat = asking(model=model, temperature=0.5, presence_penalty=0.1)
    assert set(config(chat)) == {"thinkingConfig"}
    assert chat.trace.dropped == ["temperature", "presence_penalty"]


def test_what_gemini_has_no_counterpart_for_is_dropped_with_a_trace() -> None:
    chat = asking(logit_bias={"1": 2}, user="u", parallel_tool_calls=False, invented=1, metadata=None)
    rendered(chat)
    assert chat.trace.dropped == ["logit_bias", "user", "parallel_tool_calls", "invented"]


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "minimal", {"thinkingBudget": 1024}),
        ("gemini-2.5-flash-lite-001", "medium", {"thinkingBudget": 8192}),
        ("gemini-2.5-pro", "max", {"thinkingBudget": 32768}),
        ("gemini-3-pro-preview", "medium", {"thinkingLevel": "high"}),
        ("gemini-3.1-pro-preview", "minimal", {"thinkingLevel": "low"}),
        ("gemini-3-flash-preview", "none", {"thinkingLevel": "minimal"}),
        ("gemini-3.5-flash", "xhigh", {"thinkingLevel": "high"}),
        ("gemini-3.8-flash", "minimal", {"thinkingLevel": "low"}),
        ("gemini-3.1-flash-image", "low", {"thinkingLevel": "minimal"}),
        ("models/gemini-2.5-pro", "low", {"thinkingBudget": 1024}),
    ],
)
def test_effort_is_put_to_what_the_model_takes(model: str, effort: str, thinking: Json) -> None:
    shown = {} if effort == "none" else {"includeThoughts": True}
    assert config(asking(model=model, reasoning_effort=effort))["thinkingConfig"] == {**thinking, **shown}


def test_a_model_that_does_not_think_is_not_asked_to() -> None:
    chat = asking(model="gemini-2.0-flash", reasoning_effort="high")
    assert config(chat) == {}
    assert chat.trace.dropped == ["reasoning_effort"]


def test_reasoning_as_openrouter_has_it() -> None:
    chat = asking(model="gemini-2.5-pro", reasoning={"max_tokens": 50, "exclude": True})
    assert config(chat)["thinkingConfig"] == {"thinkingBudget": 128}


def test_googles_own_members_win_over_effort() -> None:
    chat = asking(
        reasoning_effort="low",
        extra_body={"google": {"thinking_config": {"thinking_level": "high"}, "cached_content": "cachedContents/1"}},
        google={"safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]},
    )
    body = rendered(chat)
    assert body["generationConfig"] == {"thinkingConfig": {"thinking_level": "high"}}
    assert body["cachedContent"] == "cachedContents/1"
    assert body["safetySettings"] == [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]
    assert chat.trace.dropped == ["reasoning_effort"]


def test_members_by_their_native_names() -> None:
    body = rendered(asking(labels={"a": "b"}, response_modalities=["TEXT"], generationConfig={"top_k": 3}))
    assert body["labels"] == {"a": "b"}
    assert body["generationConfig"]["responseModalities"] == ["TEXT"]
    assert body["generationConfig"]["topK"] == 3


def test_json_mode() -> None:
    chat = asking(response_format={"type": "json_object"}, reasoning_effort="none")
    assert config(chat)["responseMimeType"] == "application/json"


def test_a_schema_goes_with_its_references_written_out() -> None:
    schema = {
        "$defs": {"City": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "type": "object",
        "properties": {"city": {"$ref": "#/$defs/City", "description": "where"}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    assert config(asking(response_format=form))["responseJsonSchema"] == {
        "type": "object",
        "properties": {
            "city": {"type": "object", "properties": {"name": {"type": "string"}}, "description": "where"},
        },
    }


def test_before_gemini_3_json_mode_gives_way_to_functions() -> None:
    chat = asking(response_format={"type": "json_object"}, tools=[WEATHER], model="gemini-2.5-pro")
    assert "responseMimeType" not in config(chat)
    assert sorted(chat.trace.dropped) == ["response_format", "tools.strict"]


def test_a_voice() -> None:
    chat = asking(
        model="gemini-2.5-flash-preview-tts", modalities=["text", "audio"], audio={"voice": "Kore", "format": "mp3"}
    )
    assert config(chat) == {
        "responseModalities": ["AUDIO"],
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
    }
    assert chat.trace.dropped == ["audio.format"]


@pytest.mark.parametrize(
    ("asked", "tier"), [("default", "standard"), ("flex", "flex"), ("auto", None), ("scale", None)]
)
def test_service_tier(asked: str, tier: str | None) -> None:
    chat = asking(service_tier=asked)
    assert rendered(chat).get("serviceTier") == tier
    assert chat.trace.dropped == (["service_tier"] if asked == "scale" else [])


# The table of abilities


def test_a_row_of_the_config_wins_over_the_table_and_says_only_what_differs() -> None:
    adapter = gemini(models={"gemini-3.8-*": {"levels": ["low", "high"], "penalties": True}})
    body = rendered(
        asking(model="gemini-3.8-flash", reasoning_effort="none", presence_penalty=1, temperature=1), adapter
    )
    assert body["generationConfig"] == {"presencePenalty": 1, "thinkingConfig": {"thinkingLevel": "low"}}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"speed": 9}, "speed is not known; allowed are levels"),
        ({"levels": ["huge"]}, "levels must be a list of minimal, low, medium, high"),
        ({"budget": [1]}, "budget must be"),
        ({"ids": 1}, "ids must be true or false"),
        ("fast", "must be a table"),
    ],
)
def test_a_wrong_row_is_named(row: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        gemini(models={"gemini-x": row})


def test_safety_settings_of_the_config_are_the_default() -> None:
    settings = [{"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_NONE"}]
    assert rendered(asking(), gemini(safety_settings=settings))["safetySettings"] == settings


def test_thoughts_can_be_hidden_by_the_config() -> None:
    assert "generationConfig" not in rendered(asking(), gemini(thoughts=False))


def mangled(value: Any, dice: random.Random) -> Any:
    """The value with some of its members gone or of another type."""
    if dice.random() < 0.01:
        return dice.choice([None, -1, 7, 1.5, "", "x", True, [], {}, [None], [[]], {"a": 1}, [7]])
    if isinstance(value, dict):
        return {key: mangled(one, dice) for key, one in value.items() if dice.random() > 0.005}
    return [mangled(one, dice) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3.5-flash", "gemma-3"])
def test_whatever_a_client_sends_is_rendered_or_refused_as_its_mistake(model: str) -> None:
    signed = calling(("a", "time", "{}"), extra_content={"google": {"thought_signature": "c2ln"}})
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}}
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    file = {"type": "file", "file": {"file_data": "AAAA", "filename": "a.pdf"}}
    whole: Json = {
        "messages": [user([picture, sound, file]), signed, result("a", [picture]), user("!")],
        "tools": [WEATHER, TIME, {"googleSearch": {}}, {"type": "web_search"}],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TIME]}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"schema": {"$ref": "#/$defs/A", "$defs": {"A": {}}}},
        },
        "reasoning": {"effort": "low", "max_tokens": 3},
        "modalities": ["text", "audio"],
        "audio": {"voice": "Kore"},
        "stop": ["a"],
        "google": {"tools": [{"googleSearch": {}}], "toolConfig": {}},
        "extra_body": {"google": {"thinking_config": {}}},
        "generationConfig": {"top_k": 1},
    }
    adapter, dice, refused = gemini(), random.Random(1), 0
    for _ in range(1000):
        try:
            adapter.request(Chat({key: mangled(value, dice) for key, value in whole.items()}, model))
        except BadRequest:
            refused += 1
    assert 0 < refused < 1000
