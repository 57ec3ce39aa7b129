"""Google's own SDK against the gateway, with providers of two kinds behind it: one that is asked for a chat, and Gemini."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any

import orjson
import pytest
from google.genai import errors, types

from llmproxy.testing import Behaviour, Exchange, FakeProvider, chunk, completion, sse
from tests.dialects.gemini.house import ASK, USAGE, House, call, events, parts, said

PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(20)
GEMINI_USAGE = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
STREAM = "/v1beta/models/chat/m:streamGenerateContent?alt=sse"


def weather(city: str) -> str:
    """The weather of a city."""
    return f"{city}: 21 degrees"


def gemini(*said: dict[str, Any], finish: str | None = "STOP") -> dict[str, Any]:
    end = {"finishReason": finish} if finish else {}
    candidate = {"content": {"role": "model", "parts": list(said)}, "index": 0, **end}
    return {"candidates": [candidate], "usageMetadata": GEMINI_USAGE, "modelVersion": "m", "responseId": "r1"}


async def test_an_answer_of_any_provider_is_googles(house: House, provider: FakeProvider) -> None:
    provider.answers(completion("Hello", usage=USAGE))
    answer = await house.google.aio.models.generate_content(model="chat/m", contents="Hi")
    assert answer.text == "Hello"
    assert answer.candidates
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    counted = answer.usage_metadata
    assert counted is not None
    assert (counted.prompt_token_count, counted.cached_content_token_count) == (50, 8)
    assert (counted.candidates_token_count, counted.thoughts_token_count, counted.total_token_count) == (17, 3, 70)
    assert provider.last.json["messages"] == [{"role": "user", "content": "Hi"}]


async def test_a_stream_comes_in_pieces_with_its_usage_at_the_end(house: House, provider: FakeProvider) -> None:
    provider.streams(*said({"content": "Hel"}, {"content": "lo"}))
    chunks = [one async for one in await house.google.aio.models.generate_content_stream(model="chat/m", contents="Hi")]
    assert [one.text for one in chunks[:2]] == ["Hel", "lo"]
    assert chunks[-1].candidates
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata
    assert chunks[-1].usage_metadata.total_token_count == 70


async def test_the_blocking_client_does_the_same(house: House, provider: FakeProvider) -> None:
    provider.streams(*said({"content": "Hello"}))

    def ask() -> list[str | None]:
        return [one.text for one in house.google.models.generate_content_stream(model="chat/m", contents="Hi")]

    assert "Hello" in await asyncio.to_thread(ask)


async def test_settings_reach_the_provider_in_its_own_words(house: House, provider: FakeProvider) -> None:
    provider.answers(completion())
    config = types.GenerateContentConfig(
        system_instruction="Be brief.",
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=100,
        stop_sequences=["END"],
        seed=7,
        candidate_count=2,
        response_mime_type="application/json",
        response_schema={"type": "OBJECT", "properties": {"city": {"type": "STRING", "nullable": True}}},
        thinking_config=types.ThinkingConfig(thinking_budget=1024),
        safety_settings=[
            types.SafetySetting(
                category=types.HarmCategory.HARM_CATEGORY_HARASSMENT, threshold=types.HarmBlockThreshold.OFF
            )
        ],
    )
    await house.google.aio.models.generate_content(model="chat/m", contents="Hi", config=config)
    asked = provider.last.json
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    told = {
        name: asked[name]
        for name in ("temperature", "top_p", "max_completion_tokens", "stop", "seed", "reasoning_effort")
    }
    assert told == {
        "temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 100, "stop": ["END"], "seed": 7, "reasoning_effort": "low",
    }  # fmt: skip
    schema = asked["response_format"]["json_schema"]["schema"]
    assert schema == {"type": "object", "properties": {"city": {"type": ["string", "null"]}}}
    assert "n" not in asked


async def test_what_cannot_be_carried_is_named(house: House, provider: FakeProvider) -> None:
    provider.answers(completion())
    body = {**ASK, "tools": [{"googleSearch": {}}], "safetySettings": [{"category": "X"}]}
    _, headers, _ = await house.post("/v1beta/models/chat/m:generateContent", body)
    assert headers["x-llmproxy-dropped-params"] == "tools.googleSearch, safetySettings"


async def test_openai_is_not_sent_what_it_refuses(house: House, provider: FakeProvider) -> None:
    """Gemini CLI sends topK with every question."""
    provider.answers(completion())
    provider.answers(completion())
    body = {**ASK, "generationConfig": {"topK": 64}}
    _, headers, _ = await house.post("/v1beta/models/openai/m:generateContent", body)
    assert "top_k" not in provider.last.json
    assert headers["x-llmproxy-dropped-params"] == "top_k"
    await house.post("/v1beta/models/chat/m:generateContent", body)
    assert provider.last.json["top_k"] == 64


async def test_tools_are_called_and_answered_by_the_sdk_itself(house: House, provider: FakeProvider) -> None:
    """It calls the function and asks again; calls and results find each other by their ids."""
    first = completion("")
    first["choices"][0]["message"] |= {
        "content": None,
        "tool_calls": call(0, "call_a", "weather", '{"city":"Oslo"}')["tool_calls"],
    }
    first["choices"][0]["finish_reason"] = "tool_calls"
    provider.answers(first)
    provider.answers(completion("It is warm."))
    answer = await house.google.aio.models.generate_content(
        model="chat/m", contents="Weather?", config=types.GenerateContentConfig(tools=[weather])
    )
    assert answer.text == "It is warm."
    (function,) = provider.exchanges[0].json["tools"]
    assert function["function"]["name"] == "weather"
    assert function["function"]["parameters"]["properties"]["city"]["type"] == "string"
    asked, answered = provider.exchanges[1].json["messages"][1:]
    assert asked["tool_calls"][0]["id"] == answered["tool_call_id"] == "call_a"
    assert answered["content"] == "Oslo: 21 degrees"


async def test_calls_without_ids_are_matched_by_name_and_order(house: House, provider: FakeProvider) -> None:
    provider.answers(completion())
    calls = [{"functionCall": {"name": name, "args": {"n": at}}} for at, name in enumerate(("a", "b", "a"))]
    results = [
        {"functionResponse": {"name": name, "response": {"output": text}}}
        for name, text in (("a", "1"), ("a", "2"), ("b", "3"))
    ]
    contents = [*ASK["contents"], {"role": "model", "parts": calls}, {"role": "user", "parts": results}]
    await house.post("/v1beta/models/chat/m:generateContent", {"contents": contents})
    _, asked, *answers = provider.last.json["messages"]
    ids = [one["id"] for one in asked["tool_calls"]]
    assert len(set(ids)) == 3
    assert {one["tool_call_id"]: one["content"] for one in answers} == dict(zip(ids, ("1", "3", "2"), strict=True))


async def test_a_result_that_failed_says_so_and_pictures_follow_all_results(
    house: House, provider: FakeProvider
) -> None:
    provider.answers(completion())
    calls: list[dict[str, Any]] = [{"functionCall": {"name": name, "args": {}}} for name in ("a", "b")]
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}}
    results = [
        {"functionResponse": {"name": "a", "response": {"output": "seen"}, "parts": [picture]}},
        {"functionResponse": {"name": "b", "response": {"error": "too dark"}}},
    ]
    contents = [*ASK["contents"], {"role": "model", "parts": calls}, {"role": "user", "parts": results}]
    await house.post("/v1beta/models/chat/m:generateContent", {"contents": contents})
    first, second, last = provider.last.json["messages"][2:]
    assert (first["content"], second["content"]) == ("seen\n\n[image below]", "Error: too dark")
    assert (last["role"], last["content"][0]["type"]) == ("user", "image_url")


async def test_a_function_name_that_chats_do_not_allow_is_another_one_and_comes_back(
    house: House, provider: FakeProvider
) -> None:
    provider.route = lambda exchange: _calling(exchange.json["tools"][0]["function"]["name"])
    config = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a.b:c"]}}
    body = {**ASK, "tools": [{"functionDeclarations": [{"name": "a.b:c"}]}], "toolConfig": config}
    _, _, answer = await house.post("/v1beta/models/chat/m:generateContent", body)
    assert orjson.loads(answer)["candidates"][0]["content"]["parts"][0]["functionCall"]["name"] == "a.b:c"
    assert provider.last.json["tool_choice"]["function"]["name"] == "a_b_c"


def _calling(name: str) -> Behaviour:
    answer = completion("")
    answer["choices"][0] |= {"message": call(0, "c", name, "{}"), "finish_reason": "tool_calls"}
    return Behaviour([orjson.dumps(answer)], headers={"content-type": "application/json"}, framing="length")


async def test_parallel_calls_of_a_stream_are_whole(house: House, provider: FakeProvider) -> None:
    provider.streams(
        *said(call(0, "c0", "a", '{"x":'), {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
              call(1, "c1", "b", "{}"), finish="tool_calls")
    )  # fmt: skip
    chunks = [one async for one in await house.google.aio.models.generate_content_stream(model="chat/m", contents="Hi")]
    calls = [one for part in chunks for one in part.function_calls or ()]
    assert [(one.id, one.name, one.args) for one in calls] == [("c0", "a", {"x": 1}), ("c1", "b", {})]


async def test_a_chat_keeps_other_models_reasoning_from_turn_to_turn(house: House, provider: FakeProvider) -> None:
    """It rides in the thought signature, which the SDK takes apart and writes anew."""
    details = [{"type": "reasoning.encrypted", "data": "b3BhcXVl+/==", "index": 0}]
    provider.streams(*said({"reasoning_content": "Hm."}, {"reasoning_details": details}, {"content": "Hello"}))
    provider.streams(*said({"content": "Again"}))
    chat = house.google.aio.chats.create(
        model="chat/m",
        config=types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True)),
    )
    first = [one async for one in await chat.send_message_stream("Hi")]
    thoughts = [p.text for one in first for p in (one.candidates[0].content.parts or ()) if p.thought]  # type: ignore[index, union-attr]
    assert thoughts == ["Hm."]
    [one async for one in await chat.send_message_stream("And?")]
    said_before = provider.last.json["messages"][1]
    assert said_before["content"] == "Hello"
    assert said_before["reasoning_details"] == details


async def test_thoughts_are_shown_only_to_who_asks_for_them(house: House, provider: FakeProvider) -> None:
    provider.streams(*said({"reasoning_content": "Hm."}, {"content": "Hello"}))
    _, _, body = await house.post(STREAM)
    assert [part["text"] for part in parts(events(body))] == ["Hello", ""]


async def test_pictures_and_files_go_along(house: House, provider: FakeProvider) -> None:
    provider.answers(completion())
    contents: list[Any] = ["What?", types.Part.from_bytes(data=PIXEL, mime_type="image/png")]
    await house.google.aio.models.generate_content(model="chat/m", contents=contents)
    _, picture = provider.last.json["messages"][0]["content"]
    assert picture["image_url"]["url"] == f"data:image/png;base64,{b64encode(PIXEL).decode()}"


async def test_a_picture_that_was_made_is_inline_data(house: House, provider: FakeProvider) -> None:
    url = f"data:image/png;base64,{b64encode(PIXEL).decode()}"
    provider.streams(*said({"images": [{"type": "image_url", "image_url": {"url": url}}]}))
    chunks = [one async for one in await house.google.aio.models.generate_content_stream(model="chat/m", contents="Hi")]
    blob = chunks[0].candidates[0].content.parts[0].inline_data  # type: ignore[index, union-attr]
    assert blob is not None
    assert (blob.data, blob.mime_type) == (PIXEL, "image/png")


async def test_citations_become_grounding(house: House, provider: FakeProvider) -> None:
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "https://a.example", "title": "A", "start_index": 1, "end_index": 3},
    }
    provider.streams(*said({"content": "Žabc"}, {"annotations": [cited]}))
    chunks = [one async for one in await house.google.aio.models.generate_content_stream(model="chat/m", contents="Hi")]
    found = chunks[-1].candidates[0].grounding_metadata  # type: ignore[index]
    assert found is not None
    assert found.grounding_chunks
    assert found.grounding_supports
    assert found.grounding_chunks[0].web
    assert found.grounding_chunks[0].web.uri == "https://a.example"
    segment = found.grounding_supports[0].segment
    assert segment is not None
    assert (segment.start_index, segment.end_index, segment.text) == (2, 4, "ab")


async def test_gemini_itself_is_given_the_clients_bytes_and_its_answer_is_passed_on(
    house: House, provider: FakeProvider
) -> None:
    answer = b'data: {"candidates": [ {"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP", "new": 1}]}\n\n'
    provider.streams(answer)
    body = b'{"contents" :[{"parts":[{"text":"Hi"}]}], "futureMember": {"x": 1.0}}'
    url = f"{house.url}/v1beta/models/gemini/m:streamGenerateContent?alt=sse&key=key"
    async with house.client.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
        assert await response.read() == answer
    asked: Exchange = provider.last
    assert asked.body == body
    assert asked.path == "/v1beta/models/m:streamGenerateContent?alt=sse"
    assert asked.headers["x-goog-api-key"] == "sk-upstream"


async def test_gemini_itself_never_sees_our_signatures(house: House, provider: FakeProvider) -> None:
    details = [{"type": "reasoning.encrypted", "data": "b3BhcXVl", "index": 0}]
    provider.streams(*said({"reasoning_details": details}, call(0, "c0", "weather", "{}"), finish="tool_calls"))
    _, _, streamed = await house.post(STREAM)
    said_by_model = parts(events(streamed))
    assert said_by_model[0]["thoughtSignature"]
    provider.answers(gemini({"text": "Done"}))
    result = {"functionResponse": {"id": "c0", "name": "weather", "response": {"output": "1"}}}
    contents = [*ASK["contents"], {"role": "model", "parts": said_by_model}, {"role": "user", "parts": [result]}]
    await house.post("/v1beta/models/gemini/m:generateContent", {"contents": contents})
    assert said_by_model[0]["thoughtSignature"].encode() not in provider.last.body
    sent = provider.last.json["contents"][1]["parts"][0]
    assert sent["thoughtSignature"] == "skip_thought_signature_validator"


async def test_vectors(house: House, provider: FakeProvider) -> None:
    data = [{"object": "embedding", "index": at, "embedding": [at, 0.5]} for at in range(2)]
    provider.answers({"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 4, "total_tokens": 4}})
    config = types.EmbedContentConfig(output_dimensionality=2)
    answer = await house.google.aio.models.embed_content(model="chat/m", contents=["a", "b"], config=config)
    assert [one.values for one in answer.embeddings or ()] == [[0.0, 0.5], [1.0, 0.5]]
    assert provider.last.json == {"model": "m", "input": ["a", "b"], "dimensions": 2}


async def test_one_vector(house: House, provider: FakeProvider) -> None:
    provider.answers(
        {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "m"}
    )
    body = {"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"}
    status, headers, answer = await house.post("/v1beta/models/chat/m:embedContent", body)
    assert (status, orjson.loads(answer)) == (200, {"embedding": {"values": [0.5]}})
    assert headers["x-llmproxy-dropped-params"] == "taskType"


async def test_tokens_are_estimated_without_asking_anybody(house: House, provider: FakeProvider) -> None:
    counted = await house.google.aio.models.count_tokens(model="chat/m", contents="word " * 100)
    assert counted.total_tokens
    assert 100 <= counted.total_tokens <= 150
    assert provider.exchanges == []


async def test_models_are_listed_in_pages_and_one_by_one(house: House) -> None:
    pager = await house.google.aio.models.list(config={"page_size": 1})
    assert [one.name async for one in pager] == ["models/chat/m", "models/openai/m", "models/gemini/m"]
    one = await house.google.aio.models.get(model="chat/m")
    assert one.name == "models/chat/m"
    assert "generateContent" in (one.supported_actions or ())


@pytest.mark.parametrize("path", ["/v1beta/models/models/chat/m", "/v1/models/chat/m", "/v1beta/chat/m"])
async def test_a_model_may_be_named_in_several_ways(house: House, provider: FakeProvider, path: str) -> None:
    provider.answers(completion("Hello"))
    status, _, body = await house.post(f"{path}:generateContent")
    assert status == 200
    assert parts([orjson.loads(body)]) == [{"text": "Hello"}]


async def test_a_stream_without_alt_sse_is_a_json_array(house: House, provider: FakeProvider) -> None:
    last = b"data: %b\r\n\r\n" % orjson.dumps(gemini({"text": "Hello"}))
    for model, frames in (("chat/m", said({"content": "Hello"})), ("gemini/m", [last])):
        provider.streams(*frames)
        _, headers, body = await house.post(f"/v1beta/models/{model}:streamGenerateContent")
        assert headers["content-type"].startswith("application/json")
        assert "".join(part["text"] for part in parts(orjson.loads(body))) == "Hello"


ARRAY = "/v1beta/models/{}:streamGenerateContent"


def streamed(model: str) -> list[bytes]:
    """Two pieces of an answer, as the model's provider sends them."""
    if model == "chat/m":
        return [sse(chunk({"content": one}), done=False) for one in ("Hel", "lo")]
    return [b"data: %b\r\n\r\n" % orjson.dumps(gemini({"text": one}, finish=None)) for one in ("Hel", "lo")]


@pytest.mark.parametrize("model", ["chat/m", "gemini/m"])
async def test_entries_of_the_array_come_as_the_provider_sends_them(
    house: House, provider: FakeProvider, model: str
) -> None:
    first, second = streamed(model)
    provider.hangs(first + second)
    async with house.client.post(house.url + ARRAY.format(model), json=ASK) as answer:
        assert answer.headers["content-type"] == "application/json; charset=UTF-8"
        body = b""
        while b"lo" not in body:
            body += await answer.content.readany()
        assert parts(orjson.loads(body + b"]")) == [{"text": "Hel"}, {"text": "lo"}]


@pytest.mark.parametrize("model", ["chat/m", "gemini/m"])
async def test_the_last_entry_of_an_array_that_is_cut_is_an_error(
    house: House, provider: FakeProvider, model: str
) -> None:
    body = b"".join(streamed(model))
    provider.cuts(body, len(body))
    status, _, given = await house.post(ARRAY.format(model))
    *entries, last = orjson.loads(given)
    assert (status, parts(entries)) == (200, [{"text": "Hel"}, {"text": "lo"}])
    assert last["error"]["status"] == "UNAVAILABLE"


@pytest.mark.parametrize("model", ["chat/m", "gemini/m"])
async def test_an_array_that_is_detached_comes_whole(house: House, provider: FakeProvider, model: str) -> None:
    provider.answers(completion("Hello") if model == "chat/m" else gemini({"text": "Hello"}))
    url = house.url + ARRAY.format(model)
    async with house.client.post(url, json=ASK, headers={"X-LLMProxy-On-Disconnect": "detach"}) as answer:
        assert parts(orjson.loads(await answer.read())) == [{"text": "Hello"}]


@pytest.mark.parametrize(
    ("status", "word", "code"),
    [
        (400, "INVALID_ARGUMENT", 400),
        (403, "PERMISSION_DENIED", 403),
        (500, "INTERNAL", 500),
        (503, "UNAVAILABLE", 503),
    ],
)
@pytest.mark.parametrize("model", ["chat/m", "gemini/m"])
async def test_failures_have_googles_words(
    house: House, provider: FakeProvider, model: str, status: int, word: str, code: int
) -> None:
    provider.fails(status)
    with pytest.raises(errors.APIError) as caught:
        await house.google.aio.models.generate_content(model=model, contents="Hi")
    assert (caught.value.code, caught.value.status) == (code, word)


async def test_a_wait_that_is_known_is_told_as_google_tells_it(house: House, provider: FakeProvider) -> None:
    provider.fails(429, headers={"Retry-After": "7"})
    status, headers, body = await house.post("/v1beta/models/chat/m:generateContent")
    error = orjson.loads(body)["error"]
    assert (status, error["status"], headers["retry-after"]) == (429, "RESOURCE_EXHAUSTED", "7")
    assert error["details"][-1] == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}


async def test_an_unknown_model_and_an_unknown_path_are_told_in_googles_form(house: House) -> None:
    with pytest.raises(errors.ClientError) as caught:
        await house.google.aio.models.generate_content(model="nobody/x", contents="Hi")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    status, _, body = await house.post("/v1beta/cachedContents", {})
    assert (status, orjson.loads(body)["error"]["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("model", ["chat/m", "gemini/m"])
async def test_a_stream_that_is_cut_is_an_error_to_the_sdk(house: House, provider: FakeProvider, model: str) -> None:
    body = sse(chunk({"content": "Hel"}), chunk({"content": "lo"}), done=False)
    if model == "gemini/m":
        body = b"".join(b"data: %b\r\n\r\n" % orjson.dumps(gemini({"text": "Hello"}, finish=None)) for _ in range(2))
    provider.cuts(body, len(body))
    with pytest.raises((errors.APIError, errors.UnknownApiResponseError)):
        async for _ in await house.google.aio.models.generate_content_stream(model=model, contents="Hi"):
            pass


async def test_who_leaves_a_stream_stops_the_provider(house: House, provider: FakeProvider) -> None:
    provider.hangs(sse(chunk({"content": "Hel"}), done=False))
    answer = await house.client.post(house.url + STREAM, json=ASK)
    await answer.content.readany()
    answer.close()
    asked = await provider.received()
    async with asyncio.timeout(5):
        await asked.closed.wait()
