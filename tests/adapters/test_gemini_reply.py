"""What a client gets of Gemini's answers. Every stream is read whole, byte by byte and cut at odd places."""

from __future__ import annotations

import base64
import random
import re
from typing import Any

import orjson
import pytest
from llmproxy.adapters.gemini import Gemini
from openai.types.chat.chat_completion_audio import ChatCompletionAudio

from llmproxy.core.adapter import Account
from llmproxy.core.chat import Chat, Json
from llmproxy.core.errors import Malformed, Truncated, UpstreamError

STOP = "STOP"


def gemini() -> Gemini:
    return Gemini(Account("gemini", api_key="AIzaSecret"))


def event(*parts: Json, finish: str | None = None, index: int = 0, **members: Any) -> Json:
    """One event of a Gemini stream; members in camel case go to the candidate, or beside it if they belong there."""
    beside: Json = {key: members.pop(key) for key in ("usageMetadata", "promptFeedback") if key in members}
    candidate: Json = {"index": index, **members}
    if parts:
        candidate["content"] = {"role": "model", "parts": list(parts)}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "responseId": "r1", "modelVersion": "gemini-x", **beside}


def text(words: str, **flags: Any) -> Json:
    return {"text": words, **flags}


def sse(*events: Json) -> bytes:
    return b"".join(b"data: " + orjson.dumps(one) + b"\r\n\r\n" for one in events)


def read(wire: bytes, size: int, *, stream: bool, adapter: Gemini | None = None, **members: Any) -> bytes:
    chat = Chat({"stream": stream, "stream_options": {"include_usage": True}, **members}, "gemini-x")
    translator = (adapter or gemini()).translator(chat)
    frames: list[bytes] = []
    for at in range(0, len(wire), size):
        frames.extend(translator.feed(wire[at : at + size]))
    frames.extend(translator.finish())
    return b"".join(frames)


def chunks(*events: Json, adapter: Gemini | None = None) -> list[Json]:
    wire = sse(*events)
    whole, *cut = (read(wire, size, stream=True, adapter=adapter) for size in (len(wire), 1, 7, 61))
    assert set(cut) == {whole}
    *frames, done = whole.strip().split(b"\n\n")
    assert done == b"data: [DONE]"
    return [orjson.loads(frame.removeprefix(b"data: ")) for frame in frames]


def answer(*events: Json, adapter: Gemini | None = None, **members: Any) -> Json:
    """The same events folded into one answer; `members` are the request's."""
    found: Json = orjson.loads(read(sse(*events), 10**9, stream=False, adapter=adapter, **members))
    return found


def message(*events: Json, **members: Any) -> Json:
    found: Json = answer(*events, **members)["choices"][0]["message"]
    return found


def call(name: str, args: Json | None = None, **members: Any) -> Json:
    signature = {"thoughtSignature": members.pop("signature")} if "signature" in members else {}
    return {"functionCall": {"name": name, **({"args": args} if args is not None else {}), **members}, **signature}


# Text, thoughts, ends


def test_a_plain_stream() -> None:
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    got = chunks(event(text("Hel")), event(text("lo"), finish=STOP, usageMetadata=usage))
    assert [one["choices"][0]["delta"] for one in got[:3]] == [
        {"role": "assistant", "content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert got[2]["choices"][0]["finish_reason"] == "stop"
    assert got[2]["choices"][0]["native_finish_reason"] == "STOP"
    assert got[3]["choices"] == []
    assert got[3]["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert {(one["id"], one["model"], one["object"]) for one in got} == {
        ("chatcmpl-r1", "gemini-x", "chat.completion.chunk")
    }


def test_thoughts_are_reasoning_and_not_text() -> None:
    got = message(event(text("hm", thought=True)), event(text("yes"), finish=STOP))
    assert (got["reasoning_content"], got["content"]) == ("hm", "yes")


def test_finish_that_comes_early_and_again_comes_once_at_the_end() -> None:
    got = chunks(event(text("a"), finish=STOP), event(text("b")), event(text("c"), finish="MAX_TOKENS"))
    assert [one["choices"][0]["finish_reason"] for one in got] == [None, None, None, "length"]


@pytest.mark.parametrize(
    ("native", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("OTHER", "stop"),
        ("FAKE_NEW_FINISH_REASON", "stop"),
    ],
)
def test_finish_reasons(native: str, finish: str) -> None:
    choice = answer(event(text("x"), finish=native))["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == (finish, native)


def test_a_finish_that_is_a_number() -> None:
    assert answer({"candidates": [{"finishReason": 2}]})["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    "events", [(event(text("x")),), (event(),), ({},), (event(finish="FINISH_REASON_UNSPECIFIED"),)]
)
def test_a_stream_without_a_finish_is_truncated(events: tuple[Json, ...]) -> None:
    with pytest.raises(Truncated):
        chunks(*events)


@pytest.mark.parametrize("native", ["OTHER", "NO_IMAGE", "FAKE_NEW_FINISH_REASON"])
def test_an_unknown_end_before_any_answer_is_an_error(native: str) -> None:
    with pytest.raises(UpstreamError) as failed:
        chunks(event(text("hm", thought=True)), event(finish=native, finishMessage="why"))
    assert (failed.value.code, failed.value.message, failed.value.retry_here) == (native.lower(), "why", False)


@pytest.mark.parametrize(("native", "again"), [("MALFORMED_FUNCTION_CALL", True), ("UNEXPECTED_TOOL_CALL", False)])
def test_a_model_that_broke_down_is_an_error_even_after_text(native: str, again: bool) -> None:
    with pytest.raises(UpstreamError) as failed:
        chunks(event(text("I will call")), event(finish=native))
    assert (failed.value.status, failed.value.retry_here) == (502, again)


def test_a_blocked_prompt_is_a_refusal_by_the_filter() -> None:
    choice = answer({"promptFeedback": {"blockReason": "SAFETY"}})["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert choice["native_finish_reason"] == "SAFETY"
    assert choice["message"]["refusal"] == "Gemini blocked the prompt: SAFETY"
    assert choice["message"]["content"] == ""


def test_several_candidates_are_several_choices() -> None:
    got = answer(event(text("a"), finish=STOP), event(text("b"), finish=STOP, index=1))
    assert [choice["message"]["content"] for choice in got["choices"]] == ["a", "b"]


# Tool calls


def test_tool_calls_have_dense_indexes_ids_and_the_right_finish() -> None:
    got = chunks(
        event(call("a", {"x": 1}), call("b", {}, id="given")),
        event(call("c")),
        event(text(""), finish=STOP),
    )
    made = [one for chunk in got for one in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert [(one["index"], one["function"]) for one in made] == [
        (0, {"name": "a", "arguments": '{"x":1}'}),
        (1, {"name": "b", "arguments": "{}"}),
        (2, {"name": "c", "arguments": "{}"}),
    ]
    assert made[1]["id"] == "given"
    assert all(one["id"].startswith("call_") and len(one["id"]) <= 40 for one in (made[0], made[2]))
    assert made[0]["id"] != made[2]["id"]
    assert got[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_call_of_a_custom_tool_is_a_custom_call() -> None:
    tools = [{"type": "custom", "custom": {"name": "run"}}]
    got = message(event(call("run", {"input": "raw"})), event(finish=STOP), tools=tools)
    assert [(one["type"], one["custom"]) for one in got["tool_calls"]] == [("custom", {"name": "run", "input": "raw"})]


def test_arguments_that_come_in_pieces_are_put_together() -> None:
    def piece(path: str, goes_on: bool = True, **value: Any) -> Json:
        return event(
            {
                "functionCall": {
                    "partialArgs": [{"jsonPath": path, **value}],
                    **({"willContinue": True} if goes_on else {}),
                }
            }
        )

    got = message(
        event(call("add", willContinue=True, signature="c2ln")),
        piece("$.items[0].name", stringValue="Ap", willContinue=True),
        piece("$.items[0].name", stringValue="ple"),
        piece("$.items[1]['the price']", numberValue=0.5),
        piece("$.items[1].sold", boolValue=True),
        piece("$.note", goes_on=False, nullValue="NULL_VALUE"),
        event(text(""), finish=STOP),
    )
    (made,) = got["tool_calls"]
    assert orjson.loads(made["function"]["arguments"]) == {
        "items": [{"name": "Apple"}, {"the price": 0.5, "sold": True}],
        "note": None,
    }
    assert made["extra_content"]["google"]["thought_signature"] == "c2ln"


def test_a_call_whose_last_piece_is_missing_is_complete_with_the_answer() -> None:
    assert message(event(call("a", {"x": 1}, willContinue=True)), event(finish=STOP))["tool_calls"][0]["function"] == {
        "name": "a",
        "arguments": '{"x":1}',
    }


def test_arguments_in_a_later_part_without_a_name_belong_to_the_call_before_it() -> None:
    first = call("find", {"a": 1}, signature="c2ln")
    later: list[Json] = [
        {"functionCall": {"args": {"path": "/x"}}, "thoughtSignature": "bW9yZQ=="},
        {"functionCall": {"args": {"b": 2}}},
    ]
    for events in ((event(first), event(later[0]), event(later[1])), (event(first, *later),)):
        got = message(*events, event(finish=STOP))
        (made,) = got["tool_calls"]
        assert orjson.loads(made["function"]["arguments"]) == {"a": 1, "path": "/x", "b": 2}
        assert made["extra_content"]["google"]["thought_signature"] == "c2ln"
        assert (
            got["extra_content"]["google"]["thought_signature"] == "bW9yZQ=="
        )  # kept, though it is not the call's first


def test_calls_of_one_name_that_follow_each_other_are_two() -> None:
    got = message(
        event(call("a", {"x": 1}), call("a", {"x": 2})),
        event(call("a", {}, willContinue=True)),
        event(call("b")),
        event(finish=STOP),
    )
    assert [one["function"]["name"] for one in got["tool_calls"]] == ["a", "a", "a", "b"]


def test_a_call_goes_out_before_the_text_that_follows_it() -> None:
    got = chunks(event(call("a")), event(text("and")), event(finish=STOP))
    order = [
        next((key for key in ("tool_calls", "content") if chunk["choices"][0]["delta"].get(key)), None) for chunk in got
    ]
    assert [key for key in order if key] == ["tool_calls", "content"]


def test_arguments_that_belong_to_no_call_are_an_error() -> None:
    with pytest.raises(Malformed):
        chunks(event(text("x"), {"functionCall": {"args": {"path": "/x"}}}), event(finish=STOP))


NAMES = ["21st_builder", "-dash", "mcp__" + "x" * 80, "fine.name", "_21st_builder"]


def test_names_that_gemini_refuses_are_written_otherwise_and_come_back_as_the_clients_own() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in NAMES]
    chat = Chat({"messages": [{"role": "user", "content": "?"}], "tools": tools}, "gemini-3.8-flash")
    declared = orjson.loads(gemini().request(chat).body)["tools"][0]["functionDeclarations"]
    theirs = [one["name"] for one in declared]
    assert len(set(theirs)) == len(NAMES)
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}", name) for name in theirs)
    assert theirs[3:] == NAMES[3:]
    got = message(event(*(call(name) for name in theirs)), event(finish=STOP), tools=tools)
    assert [one["function"]["name"] for one in got["tool_calls"]] == NAMES


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("default_api.weather", "weather"),
        ("default_api:weather", "weather"),
        ("default_api.other", "default_api.other"),
    ],
)
def test_the_namespace_that_models_put_before_a_name_is_taken_off_if_the_rest_is_declared(said: str, name: str) -> None:
    tools = [{"type": "function", "function": {"name": "weather"}}]
    assert message(event(call(said)), event(finish=STOP), tools=tools)["tool_calls"][0]["function"]["name"] == name


# Signatures, over two turns


@pytest.mark.parametrize("echoes", [True, False])
def test_a_signature_comes_back_in_the_next_turn_whether_the_client_keeps_it_or_not(echoes: bool) -> None:
    adapter = gemini()
    said = answer(event(call("a", {}, signature="c2ln"), call("b", {}), finish=STOP), adapter=adapter)["choices"][0][
        "message"
    ]
    made = said["tool_calls"]
    assert made[0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    if not echoes:
        made = [{key: one[key] for key in ("id", "type", "function")} for one in made]
    results = [{"role": "tool", "tool_call_id": one["id"], "content": "ok"} for one in made]
    talk = [{"role": "user", "content": "?"}, {"role": "assistant", "tool_calls": made}, *results]
    body = orjson.loads(adapter.request(Chat({"messages": talk}, "gemini-3-flash-preview")).body)
    first, second = body["contents"][1]["parts"]
    assert first["thoughtSignature"] == "c2ln"
    assert "thoughtSignature" not in second
    assert "id" not in first["functionCall"]  # Gemini gave none, so it gets none


def test_a_signature_of_text_is_a_side_field_of_the_message_and_goes_back_with_it() -> None:
    adapter = gemini()
    said = answer(event(text("hi")), event(text("", thoughtSignature="c2ln"), finish=STOP), adapter=adapter)
    reply = said["choices"][0]["message"]
    assert reply["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    talk = [{"role": "user", "content": "?"}, reply, {"role": "user", "content": "!"}]
    body = orjson.loads(adapter.request(Chat({"messages": talk}, "gemini-3-flash-preview")).body)
    assert body["contents"][1]["parts"] == [{"text": "hi", "thoughtSignature": "c2ln"}]


def test_no_signature_is_lost_to_another_parts() -> None:
    parts = [text("a", thoughtSignature="AA=="), text("b"), text("", thoughtSignature="BB==")]
    google = message(event(*parts, finish=STOP))["extra_content"]["google"]
    assert google == {"thought_signature": "BB==", "thought_signatures": ["AA==", "BB=="]}


def test_members_that_nobody_knows_are_kept() -> None:
    last = event(text("a"), finish=STOP, tokenCount=3, someNewThing={"x": 1})
    google = message({**last, "createTime": "now", "modelStatus": {"stage": "old"}})["extra_content"]["google"]
    assert google == {
        "token_count": 3,
        "some_new_thing": {"x": 1},
        "create_time": "now",
        "model_status": {"stage": "old"},
    }


@pytest.mark.parametrize(
    ("said", "tier"), [("standard", "default"), ("FLEX", "flex"), ("priority", "priority"), ("new", None)]
)
def test_a_service_tier_is_in_openais_words(said: str, tier: str | None) -> None:
    got = answer({**event(text("a"), finish=STOP), "usageMetadata": {"promptTokenCount": 1, "serviceTier": said}})
    assert got.get("service_tier") == tier


# Pictures, sound, code


def test_pictures_and_sound() -> None:
    got = message(
        event({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
        event({"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "BBBB"}}, finish=STOP),
    )
    assert got["images"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    assert got["audio"].pop("id").startswith("audio_")
    assert got["audio"] == {"data": "BBBB", "mime_type": "audio/L16;rate=24000", "expires_at": 0, "transcript": ""}


@pytest.mark.parametrize("stream", [True, False])
def test_sound_in_pieces_is_one_base64_text_that_openais_clients_can_read(stream: bool) -> None:
    sound = bytes(range(64))
    cuts = [sound[:1], sound[1:5], sound[5:32], sound[32:]]
    blobs = [{"inlineData": {"mimeType": "audio/L16", "data": base64.b64encode(one).decode()}} for one in cuts]
    events = [*map(event, blobs), event(text(""), finish=STOP)]
    if stream:
        deltas = [chunk["choices"][0]["delta"].get("audio", {}) for chunk in chunks(*events)]
        data = "".join(delta.get("data", "") for delta in deltas)
        assert [sum(key in delta for delta in deltas) for key in ("id", "expires_at", "transcript")] == [1, 1, 1]
    else:
        audio = message(*events)["audio"]
        ChatCompletionAudio.model_validate(audio)
        data = audio["data"]
    assert base64.b64decode(data, validate=True) == sound


def test_code_that_ran_is_shown_fenced_and_kept_as_it_came() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}
    output = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}}
    got = message(event(text("So:")), event(code), event(output), event(text("One."), finish=STOP))
    assert got["content"] == "So:\n```python\nprint(1)\n```\n```\n1\n```\nOne."
    assert got["extra_content"]["google"]["parts"] == [code, output]


def test_a_fence_is_longer_than_any_inside() -> None:
    got = message(event({"executableCode": {"code": "x = '```'"}}, finish=STOP))
    assert got["content"] == "````\nx = '```'\n````\n"


# Sources


def grounding(*supports: tuple[int, int, str]) -> Json:
    return {
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}, {"web": {"uri": "https://b.example"}}],
        "groundingSupports": [
            {"segment": {"startIndex": start, "endIndex": end, "text": quoted}, "groundingChunkIndices": [0, 1]}
            for start, end, quoted in supports
        ],
    }


def cited(got: Json) -> list[tuple[str, str]]:
    """Each annotation's address, and what of the content it stands for."""
    citations = [one["url_citation"] for one in got["annotations"]]
    return [(one["url"], got["content"][one["start_index"] : one["end_index"]]) for one in citations]


@pytest.mark.parametrize("quoted", ["ist naß.", ""])
def test_sources_have_offsets_in_characters_where_gemini_counts_bytes(quoted: str) -> None:
    words = "Zürich 🌧 ist naß."
    start, end = words.encode().index(b"ist"), len(words.encode())
    got = message(
        event(text("Zürich 🌧 ")),
        event(text("ist naß."), finish=STOP, groundingMetadata=grounding((start, end, quoted))),
    )
    assert cited(got) == [("https://a.example", "ist naß."), ("https://b.example", "ist naß.")]
    assert got["annotations"][0]["url_citation"]["title"] == "A"
    assert got["extra_content"]["google"]["grounding_metadata"]["groundingChunks"]


def test_code_that_is_shown_between_does_not_move_the_sources() -> None:
    got = message(
        event(text("First. ")),
        event({"executableCode": {"code": "1+1"}}),
        event(text("Second."), finish=STOP, groundingMetadata=grounding((0, 6, ""), (7, 14, ""))),
    )
    assert [place for _, place in cited(got)] == ["First.", "First.", "Second.", "Second."]


def test_offsets_that_fit_nothing_give_way_to_the_quotation() -> None:
    got = message(event(text("One. Two."), finish=STOP, groundingMetadata=grounding((0, 4, "Two."))))
    assert cited(got)[0] == ("https://a.example", "Two.")


def test_sources_without_a_place_stand_for_the_whole_answer() -> None:
    got = message(event(text("One. Two."), finish=STOP, groundingMetadata=grounding()))
    assert cited(got) == [("https://a.example", "One. Two."), ("https://b.example", "One. Two.")]


@pytest.mark.parametrize("key", ["citations", "citationSources"])
def test_citations_come_once_however_often_they_are_said(key: str) -> None:
    said = {key: [{"startIndex": 2, "endIndex": 99, "uri": "https://a.example"}]}
    got = message(event(text("ab"), citationMetadata=said), event(text("cd"), finish=STOP, citationMetadata=said))
    assert cited(got) == [("https://a.example", "cd")]


# Side fields, logprobs, usage


def test_what_openai_has_no_place_for_is_kept() -> None:
    ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}]
    got = message(event(text("x"), finish=STOP, safetyRatings=ratings, promptFeedback={"safetyRatings": ratings}))
    assert got["extra_content"]["google"] == {
        "safety_ratings": ratings,
        "prompt_feedback": {"safetyRatings": ratings},
    }


def test_logprobs() -> None:
    result = {
        "chosenCandidates": [{"token": "é", "logProbability": -0.5}],
        "topCandidates": [
            {"candidates": [{"token": "é", "logProbability": -0.5}, {"token": "e", "logProbability": -2}]}
        ],
    }
    choice = answer(event(text("é"), finish=STOP, logprobsResult=result))["choices"][0]
    top = [{"token": "é", "logprob": -0.5, "bytes": [195, 169]}, {"token": "e", "logprob": -2, "bytes": [101]}]
    assert choice["logprobs"]["content"] == [{**top[0], "top_logprobs": top}]


def test_usage_counts_thoughts_and_tool_use_as_openai_does_and_the_last_wins() -> None:
    last = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 7,
        "totalTokenCount": 25,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}],
        "serviceTier": "flex",
    }
    got = answer(event(text("x"), usageMetadata={"promptTokenCount": 1}), event(finish=STOP, usageMetadata=last))
    assert got["usage"] == {
        "prompt_tokens": 15,
        "completion_tokens": 10,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 4, "tool_use_tokens": 5, "audio_tokens": 6},
        "completion_tokens_details": {"reasoning_tokens": 7},
    }
    assert got["service_tier"] == "flex"


def test_what_was_counted_so_far_is_known_to_who_stops_in_between() -> None:
    translator = gemini().translator(Chat({"stream": True}, "gemini-x"))
    for count in (3, 7):
        counted = {"promptTokenCount": 12, "candidatesTokenCount": count}
        list(translator.feed(sse(event(text("x"), usageMetadata=counted))))
    assert translator.usage is not None
    assert (translator.usage.prompt, translator.usage.completion) == (12, 7)


@pytest.mark.parametrize("metadata", [None, {}, {"trafficType": "ON_DEMAND"}])
def test_usage_that_gemini_did_not_count_is_absent(metadata: Any) -> None:
    assert "usage" not in answer(event(text("x"), finish=STOP, usageMetadata=metadata))


# Other dresses of the same reply


def test_a_whole_answer_is_one_event_and_pretty_printed() -> None:
    body = orjson.dumps(event(text("hi"), finish=STOP), option=orjson.OPT_INDENT_2)
    for size in (len(body), 1, 13):
        assert orjson.loads(read(body, size, stream=False))["choices"][0]["message"]["content"] == "hi"


def test_the_array_that_comes_without_alt_sse() -> None:
    body = orjson.dumps([event(text("h")), event(text("i"), finish=STOP)], option=orjson.OPT_INDENT_2)
    assert orjson.loads(read(body, 9, stream=False))["choices"][0]["message"]["content"] == "hi"


@pytest.mark.parametrize("size", [1, 7, 10**9])
def test_an_error_that_comes_bare_in_mid_stream(size: int) -> None:
    error = {"error": {"code": 503, "message": "The model is overloaded", "status": "UNAVAILABLE"}}
    wire = sse(event(text("First "), finish=STOP)) + orjson.dumps(error, option=orjson.OPT_INDENT_2) + b"\r\n"
    with pytest.raises(UpstreamError, match="overloaded") as failed:
        read(wire, size, stream=True)
    assert (failed.value.status, failed.value.code, failed.value.retry_here) == (503, "unavailable", True)


def test_what_came_before_an_error_in_the_same_bytes_is_still_given() -> None:
    translator = gemini().translator(Chat({"stream": True}, "gemini-x"))
    wire = sse(event(text("good")), {"error": {"code": 500, "message": "bad", "status": "INTERNAL"}})
    frames = iter(translator.feed(wire))
    assert b"good" in next(frames)
    with pytest.raises(UpstreamError, match="bad"):
        next(frames)


def test_invented_ids_are_the_same_whenever_the_answer_is_read() -> None:
    first, second = (message(event(call("a", {}), finish=STOP))["tool_calls"][0]["id"] for _ in range(2))
    assert first == second


def test_base64_of_a_picture_is_handed_on_untouched() -> None:
    data = base64.b64encode(bytes(range(256)) * 400).decode()
    got = message(event({"inlineData": {"mimeType": "image/png", "data": data}}, finish=STOP))
    assert got["images"][0]["image_url"]["url"].endswith(data)


def mangled(value: Any, dice: random.Random) -> Any:
    """The value with some of its members gone or of another type."""
    if dice.random() < 0.07:
        return dice.choice([None, -1, 7, 1.5, "", "x", True, [], {}, [None], [[]], {"a": 1}, [7]])
    if isinstance(value, dict):
        return {key: mangled(one, dice) for key, one in value.items() if dice.random() > 0.02}
    return [mangled(one, dice) for one in value] if isinstance(value, list) else value


def test_whatever_gemini_sends_is_translated_or_its_own_failure() -> None:
    last = event(
        text("b"),
        {"executableCode": {"code": "1", "language": "PYTHON"}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "c2ln"},
        finish=STOP,
        groundingMetadata=grounding((0, 1, "a")),
        citationMetadata={"citations": [{"startIndex": 0, "endIndex": 1, "uri": "https://a.example"}]},
        logprobsResult={"chosenCandidates": [{"token": "a"}], "topCandidates": [{"candidates": [{"token": "a"}]}]},
        usageMetadata={"promptTokenCount": 1, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1}]},
        promptFeedback={"blockReason": "SAFETY"},
    )
    pieces: Json = {"partialArgs": [{"jsonPath": "$.a[0]", "stringValue": "x"}]}
    whole = [event(text("a", thought=True)), event(call("f", {"x": 1}), call("g", **pieces)), last]
    adapter, dice, failures = gemini(), random.Random(1), 0
    for _ in range(400):
        events = [{key: mangled(value, dice) for key, value in one.items()} for one in whole]
        try:
            read(sse(*events), 10**9, stream=True, adapter=adapter)
        except UpstreamError:
            failures += 1
    assert 0 < failures < 400
