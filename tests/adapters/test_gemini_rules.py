"""Gemini's rules: on turns, on values, and on what each model takes. What breaks one is shaped or left out, and told."""

from __future__ import annotations

import mimetypes
from typing import Any

import orjson
import pytest
from llmproxy.adapters.gemini import Gemini
from llmproxy.adapters.gemini.models import TABLE, abilities

from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import BadRequest

VERTEX = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google"
DATA = "AAAAAAAA"


def user(content: Any = "?") -> Json:
    return {"role": "user", "content": content}


def says(text: str = "a") -> Json:
    return {"role": "assistant", "content": text}


def calls(*ids: str, name: str = "f", arguments: Any = "{}") -> Json:
    made = [{"id": id, "type": "function", "function": {"name": name, "arguments": arguments}} for id in ids]
    return {"role": "assistant", "content": None, "tool_calls": made}


def result(id: str, content: str = "1") -> Json:
    return {"role": "tool", "tool_call_id": id, "content": content}


def asked(
    *messages: Json, model: str = "gemini-2.5-flash", base_url: str = "", **members: Any
) -> tuple[Json, list[str]]:
    """The body that Gemini is sent, and what the trace says was dropped or shaped."""
    chat = Chat({"messages": list(messages) or [user()], **members}, model)
    body: Json = orjson.loads(Gemini(Account("gemini", base_url)).request(chat).body)
    return body, chat.trace.dropped


def shape(body: Json) -> str:
    """The turns in short: u and m for the text of user and model, c for a call, r for a result."""
    kinds = {"functionCall": "c", "functionResponse": "r"}
    return " ".join(
        "".join(next((kinds[kind] for kind in kinds if kind in part), content["role"][0]) for part in content["parts"])
        for content in body["contents"]
    )


# Turns


@pytest.mark.parametrize(
    ("messages", "turns", "told"),
    [
        ([user(), says(), user()], "u m u", []),
        ([user(), user(), says(), says()], "uu mm", []),
        ([calls("a"), result("a")], "u c r", ["messages"]),
        ([says(), user()], "m u", []),
        ([user("")], "u", ["messages"]),
        ([user(), says(), user("")], "u m u", ["messages"]),
        ([user(), says(), user([{"type": "text", "text": ""}]), says()], "u m u m", ["messages"]),
        ([user(), user("")], "u", []),
        ([user(), says(""), user()], "uu", []),
        ([user(), calls("a", "b"), result("b"), result("a")], "u cc rr", []),
        ([user(), calls("a"), calls("b"), result("a"), result("b")], "u cc rr", []),
        ([user(), calls("a", "b"), result("a"), user()], "u cc rr u", ["messages"]),
        ([user(), calls("a"), user()], "u c r u", ["messages"]),
        ([user(), calls("a")], "u c r", ["messages"]),
        ([user(), calls("a", "b"), result("a"), {"role": "system", "content": "s"}, result("b")], "u cc rr u", []),
        ([user(), calls("a"), result("a"), calls("b"), result("b")], "u c r c r", []),
    ],
)
def test_turns_follow_each_other_as_gemini_wants_them(messages: list[Json], turns: str, told: list[str]) -> None:
    body, dropped = asked(*messages)
    assert (shape(body), dropped) == (turns, told)
    assert all(part.get("text", "x") for content in body["contents"] for part in content["parts"])


@pytest.mark.parametrize(
    "messages", [[result("a")], [user(), says(), result("a")], [user(), calls("a"), result("a"), result("a")]]
)
def test_a_result_of_no_call_is_the_clients_mistake(messages: list[Json]) -> None:
    with pytest.raises(BadRequest, match="answers no tool call"):
        asked(*messages)


# Values


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("plain", {"output": "plain"}),
        ('{"a":1}', {"a": 1}),
        ("[1]", {"output": "[1]"}),
        ("", {"output": ""}),
        ('{"id":9007199254740992}', {"id": 9007199254740992}),
        ('{"id":9007199254740993}', {"id": "9007199254740993"}),
        ('{"a":[{"id":-123456789012345678901234567890}]}', {"a": [{"id": "-123456789012345678901234567890"}]}),
        ('{"a":{"$ref":"#/x"}}', {"output": '{"a":{"$ref":"#/x"}}'}),
        (r'{"a":[{"\u0024ref":"#/x"}]}', {"output": r'{"a":[{"\u0024ref":"#/x"}]}'}),
        ('{"text":"a \\"$ref\\" in words"}', {"text": 'a "$ref" in words'}),
        ('{"a":' * 2000 + "1" + "}" * 2000, {"output": '{"a":' * 2000 + "1" + "}" * 2000}),
    ],
)
def test_a_tools_answer_is_an_object_with_exact_integers(text: str, response: Json) -> None:
    body, _ = asked(user(), calls("a"), result("a", text))
    assert body["contents"][2]["parts"][0]["functionResponse"]["response"] == response


@pytest.mark.parametrize(
    ("given", "args"),
    [
        ("", {}),
        (None, {}),
        ({"a": 1}, {"a": 1}),
        ('{"a": "cut', {"arguments": '{"a": "cut'}),
        ("[1]", {"arguments": "[1]"}),
        ('{"id": 9007199254740993}', {"id": "9007199254740993"}),
    ],
)
def test_a_calls_arguments_are_an_object_whatever_the_model_wrote(given: Any, args: Json) -> None:
    body, _ = asked(user(), calls("a", arguments=given), result("a"))
    assert body["contents"][1]["parts"][0]["functionCall"]["args"] == args


@pytest.mark.parametrize(("seed", "sent"), [(7, 7), (-1, -1), (2**31 - 1, 2**31 - 1), (2**31, 0), (2**63 + 5, 5)])
def test_a_seed_fits_into_32_bits(seed: int, sent: int) -> None:
    assert asked(seed=seed)[0]["generationConfig"]["seed"] == sent


def test_a_sixth_stop_sequence_is_the_clients_mistake() -> None:
    assert len(asked(stop=["a"] * 5)[0]["generationConfig"]["stopSequences"]) == 5
    with pytest.raises(BadRequest):
        asked(stop=["a"] * 6)


def file(**members: str) -> Json:
    return {"type": "file", "file": members}


def image(url: str, **members: str) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **members}}


TUBE = "https://www.youtube.com/watch?v=9hE5"


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        *[
            (file(file_data=DATA, filename=f"a.{ending}"), kind)
            for ending, kind in {
                "jpg": "image/jpeg",
                "webp": "image/webp",
                "md": "text/markdown",
                "flac": "audio/flac",
                "ogg": "audio/ogg",
                "mkv": "video/x-matroska",
                "MOV": "video/quicktime",
                "pdf": "application/pdf",
                "csv": "text/csv",
                "rs": "text/plain",
                "unknown": "application/pdf",
            }.items()
        ],
        (file(file_data=f"data:image/jpg;base64,{DATA}", filename="a.png"), "image/jpeg"),
        (file(file_data=f"data:application/octet-stream;base64,{DATA}", filename="a.flac"), "audio/flac"),
        (file(file_data=f"data:;base64,{DATA}", filename="a.md"), "text/markdown"),
        (file(file_data="iVBORw0KGgoA"), "image/png"),
        (file(file_data=DATA, filename="a.bin", format="audio/x-wav"), "audio/wav"),
        (image(f"data:image/jpg;base64,{DATA}"), "image/jpeg"),
        (image("https://x.example/a.webp?b=c.png"), "image/webp"),
        (image("https://x.example/picture"), "image/jpeg"),
        (image("https://x.example/a", format="image/png"), "image/png"),
        (image("gs://bucket/a.heic"), "image/heic"),
        ({"type": "video_url", "video_url": {"url": "https://x.example/a.mkv"}}, "video/x-matroska"),
        (file(file_id="gs://bucket/a.mp3"), "audio/mp3"),
        (file(file_data="https://x.example/a.md"), "text/markdown"),
        (image(TUBE), "video/mp4"),
        (image("https://youtu.be/9hE5"), "video/mp4"),
        (file(file_id=TUBE), "video/mp4"),
        (file(file_id=TUBE, format="video/webm"), "video/webm"),
        (image("https://notyoutube.com/a.png"), "image/png"),
        ({"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}}, "audio/mp3"),
        ({"type": "input_audio", "input_audio": {"data": DATA, "format": "opus"}}, "audio/ogg"),
        ({"type": "input_audio", "input_audio": {"data": DATA, "format": "pcm16"}}, "audio/pcm"),
    ],
    ids=str,
)
def test_the_kind_of_a_file_is_known_on_every_machine(part: Json, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mimetypes, "guess_type", None)
    (sent,) = asked(user([part]))[0]["contents"][0]["parts"]
    assert next(iter(sent.values()))["mimeType"] == kind


@pytest.mark.parametrize(
    ("parameters", "sent"),
    [
        ({}, None),
        ({"type": "object", "properties": {}}, None),
        ({"type": "object", "properties": {}, "required": [], "additionalProperties": False, "$schema": "x"}, None),
        ({"type": "object"}, {"type": "object"}),
        *[
            (schema, schema)
            for schema in (
                {"type": "object", "properties": {}, "anyOf": [{"required": ["a"]}]},
                {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}},
                {"type": "object", "properties": {}, "additionalProperties": True},
                {"type": "object", "properties": {}, "patternProperties": {"^x": {"type": "string"}}},
            )
        ],
    ],
)
def test_a_schema_is_left_out_only_if_it_says_that_there_are_no_arguments(parameters: Json, sent: Json | None) -> None:
    body, _ = asked(tools=[{"type": "function", "function": {"name": "f", "parameters": parameters}}])
    assert body["tools"][0]["functionDeclarations"][0].get("parametersJsonSchema") == sent


def test_a_loop_of_required_members_is_told_with_a_way_out() -> None:
    tree = {"type": "object", "required": ["left", "name"], "properties": {"left": {"$ref": "#/$defs/T"}, "name": {}}}
    parameters = {"type": "object", "required": ["t"], "properties": {"t": {"$ref": "#/$defs/T"}}, "$defs": {"T": tree}}
    body, _ = asked(tools=[{"type": "function", "function": {"name": "f", "parameters": parameters}}])
    sent = body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]
    assert sent["$defs"]["T"]["required"] == ["name"]
    assert sent["required"] == ["t"]


def test_a_renamed_function_has_its_new_name_wherever_it_stands() -> None:
    body, _ = asked(
        user(),
        calls("a", name="1st"),
        result("a"),
        tools=[{"type": "function", "function": {"name": "1st"}}],
        tool_choice={"type": "function", "function": {"name": "1st"}},
    )
    assert body["tools"][0]["functionDeclarations"][0]["name"] == "_1st"
    assert body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == ["_1st"]
    assert body["contents"][1]["parts"][0]["functionCall"]["name"] == "_1st"
    assert body["contents"][2]["parts"][0]["functionResponse"]["name"] == "_1st"


# What each model takes

FUNCTION = {"type": "function", "function": {"name": "f"}}
SEARCH = {"type": "web_search"}
JSON_MODE = {"type": "json_object"}


@pytest.mark.parametrize(
    ("models", "members", "dropped"),
    [
        ("gemini-2.0-flash", {"presence_penalty": 0.2, "logprobs": True, "top_logprobs": 2}, []),
        (
            "gemini-2.5-pro gemini-2.5-flash gemini-3-flash-preview gemini-3.5-flash gemini-3.8-flash gemma-4-31b-it x",
            {"presence_penalty": 0.2, "frequency_penalty": 0.5},
            ["presence_penalty", "frequency_penalty"],
        ),
        ("gemini-2.5-pro gemini-3.8-flash", {"presence_penalty": 0, "frequency_penalty": 0.0}, []),
        (
            "gemini-2.5-pro gemini-2.5-flash-lite gemini-3.5-flash gemini-3.8-flash gemma-3-27b-it",
            {"logprobs": True, "top_logprobs": 2},
            ["logprobs", "top_logprobs"],
        ),
        ("gemini-3.5-flash", {"logprobs": False}, []),
        ("gemma-3-27b-it gemini-2.5-flash-preview-tts", {"response_format": JSON_MODE}, ["response_format"]),
        (
            "gemma-4-31b-it gemini-2.5-flash gemini-3.8-flash gemini-robotics-er-2-preview",
            {"response_format": JSON_MODE},
            [],
        ),
        ("gemini-2.0-flash gemini-2.5-pro", {"response_format": JSON_MODE, "tools": [SEARCH]}, ["tools.googleSearch"]),
        ("gemini-2.0-flash gemini-2.5-pro", {"response_format": JSON_MODE, "tools": [FUNCTION]}, ["response_format"]),
        ("gemini-3-flash-preview gemini-3.8-flash", {"response_format": JSON_MODE, "tools": [SEARCH, FUNCTION]}, []),
        ("gemini-3-pro-image-preview gemini-3.1-flash-image", {"tools": [SEARCH]}, []),
        (
            "gemini-3-pro-image-preview gemini-2.5-flash-image gemma-3-27b-it",
            {"tools": [FUNCTION], "tool_choice": "auto"},
            ["tools", "tool_choice"],
        ),
        ("gemini-2.5-flash-image gemini-3.1-flash-tts-preview", {"tools": [SEARCH]}, ["tools.googleSearch"]),
        ("gemini-robotics-er-1.5-preview gemini-robotics-er-2-preview gemma-4-31b-it", {"tools": [FUNCTION]}, []),
    ],
)
def test_what_a_model_refuses_is_dropped_with_a_trace(models: str, members: Json, dropped: list[str]) -> None:
    for model in models.split():
        assert sorted(asked(model=model, **members)[1]) == sorted(dropped), model


@pytest.mark.parametrize(
    ("model", "given"), [("gemini-2.5-flash", True), ("gemini-2.5-flash-lite", True), ("gemini-3.5-flash", False)]
)
def test_vertex_gives_logprobs_where_the_gemini_api_does_not(model: str, given: bool) -> None:
    body, dropped = asked(model=model, base_url=VERTEX, logprobs=True)
    assert ("responseLogprobs" in body["generationConfig"], dropped == []) == (given, given)


@pytest.mark.parametrize(
    ("model", "instructed"),
    [
        ("gemini-2.5-flash-preview-tts", False),
        ("gemini-3.1-flash-tts-preview", False),
        ("gemini-2.0-flash-preview-image-generation", False),
        ("gemma-3-27b-it", False),
        ("gemma-4-31b-it", True),
        ("gemini-3.1-flash-image", True),
        ("gemini-9-ultra", True),
    ],
)
def test_instructions_stand_where_the_model_reads_them(model: str, instructed: bool) -> None:
    body, dropped = asked({"role": "system", "content": "s"}, user("u"), model=model)
    assert ("systemInstruction" in body) is instructed
    assert len(body["contents"][0]["parts"]) == (1 if instructed else 2)
    assert dropped == []


@pytest.mark.parametrize(
    ("model", "members", "thinking"),
    [
        ("gemini-2.5-flash", {"reasoning_effort": "none"}, {"thinkingBudget": 0}),
        ("gemini-2.5-flash", {"reasoning": {"max_tokens": 0}}, {"thinkingBudget": 0}),
        ("gemini-2.5-flash", {"reasoning": {"max_tokens": -1}}, {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-2.5-pro", {"reasoning": {"max_tokens": 0}}, {"thinkingBudget": 128, "includeThoughts": True}),
        ("gemini-2.5-flash-lite", {}, None),
        ("gemini-2.5-flash-lite", {"reasoning": {"max_tokens": 5}}, {"thinkingBudget": 512, "includeThoughts": True}),
        ("gemini-2.0-flash", {}, None),
        ("gemini-2.5-flash-image", {"reasoning_effort": "low"}, None),
        ("gemini-3.1-flash-tts-preview", {}, None),
        ("gemma-3-27b-it", {}, None),
        ("gemma-4-31b-it", {"reasoning_effort": "low"}, {"thinkingLevel": "minimal", "includeThoughts": True}),
        ("gemma-4-31b-it", {"reasoning_effort": "medium"}, {"thinkingLevel": "high", "includeThoughts": True}),
        ("gemini-robotics-er-1.5-preview", {"reasoning_effort": "none"}, {"thinkingBudget": 0}),
        (
            "gemini-robotics-er-2-preview",
            {"reasoning_effort": "minimal"},
            {"thinkingLevel": "minimal", "includeThoughts": True},
        ),
        ("gemini-3.7-flash", {"reasoning_effort": "minimal"}, {"thinkingLevel": "low", "includeThoughts": True}),
        ("gemini-5-pro", {"reasoning_effort": "minimal"}, {"thinkingLevel": "low", "includeThoughts": True}),
        ("something-new", {"reasoning_effort": "none"}, {"thinkingLevel": "low"}),
    ],
)
def test_thinking_is_asked_for_as_the_model_takes_it(model: str, members: Json, thinking: Json | None) -> None:
    assert asked(model=model, **members)[0].get("generationConfig", {}).get("thinkingConfig") == thinking


def test_a_model_that_nobody_knows_gets_the_newest_row() -> None:
    newest = abilities("gemini-3.8-flash", TABLE)
    assert all(abilities(model, TABLE) == newest for model in ("gemini-flash-latest", "gemini-4-pro", "tunedModels/x"))


def broken_rules(contents: list[Json]) -> list[str]:
    """What Google would say to these turns."""
    found = []
    for at, content in enumerate(contents):
        before = contents[at - 1] if at else {"role": "", "parts": []}
        made = sum("functionCall" in part for part in before["parts"])
        given = sum("functionResponse" in part for part in content["parts"])
        if made != given:
            found.append(f"{at}: {given} results of {made} calls")
        if any("functionCall" in part for part in content["parts"]) and before["role"] != "user":
            found.append(f"{at}: calls follow neither the user nor results")
        if not content["parts"] or any(part.get("text") == "" for part in content["parts"]):
            found.append(f"{at}: nothing is said")
    if any("functionCall" in part for part in contents[-1]["parts"]):
        found.append("the last calls have no results")
    return found


def test_whatever_is_said_in_whatever_order_the_rules_on_turns_hold() -> None:
    kinds = [user(), user(""), says(), says(""), calls("a"), calls("b", "c"), result("a"), result("c")]
    taken = 0
    for number in range(len(kinds) ** 4):
        messages = [kinds[number // len(kinds) ** at % len(kinds)] for at in range(4)]
        try:
            body, _ = asked(*messages)
        except BadRequest:
            continue
        taken += 1
        assert broken_rules(body["contents"]) == [], messages
    assert taken > 1000
