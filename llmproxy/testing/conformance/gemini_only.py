"""Checks of what only Gemini's API has, mostly with requests of Google's SDKs and Gemini CLI."""

from __future__ import annotations

from typing import Any

import orjson

from ..check_gemini import (
    check_gemini_array,
    check_gemini_error,
    check_gemini_model,
    check_gemini_models,
    check_gemini_tokens,
)
from ..samples import as_bytes
from .client_api_gemini import GEMINI
from .harness import Check, Harness, Seen, clean, expect, taken
from .scripted_reply import Json, ScriptedReply
from .shared_cases import HELLO, HM, LOOK_AT, answered
from .shared_failures import begun

_ASK = {"role": "user", "parts": [{"text": "Hello"}]}
_CALLED: Json = {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {"at": "sea"}}}]}


def _answered(*parts: Json) -> Json:
    return {"role": "user", "parts": list(parts)}


async def _post(harness: Harness, method: str, body: Any = None, headers: dict[str, str] | None = None) -> Seen:
    payload = as_bytes(GEMINI.hello if body is None else body)
    async with harness.send("POST", f"/v1beta/models/{harness.model}:{method}", payload, headers) as response:
        return await taken(response)


async def _sent(harness: Harness, **members: Any) -> Json:
    """The request that the provider receives."""
    return (await answered(GEMINI, harness, **members))[1]


async def array(harness: Harness) -> str:
    harness.replies_with(ScriptedReply([HELLO]))
    seen = await _post(harness, "streamGenerateContent")
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    expect(seen.content_type.startswith("application/json"), seen.content_type)
    clean(check_gemini_array(seen.body))
    return "one array"


async def cut_array(harness: Harness) -> str:
    begun(harness, framing="close")
    seen = await _post(harness, "streamGenerateContent")
    found = seen.status >= 400 or seen.broken or b'"error"' in seen.body
    expect(found, f"a clean end: {seen.body[-80:]!r}")
    return "told"


async def unasked_thoughts(harness: Harness) -> str:
    harness.replies_with(ScriptedReply([HM, HELLO]))
    view = (await GEMINI.ask(harness, generationConfig={})).view
    expect(view.text == HELLO.text, f"text {view.text!r}")
    return "left out" if len(view.parts) == 1 else "told apart from the text"


async def whole_calls(harness: Harness) -> str:
    """SDKs read each part with a call as a complete call."""
    harness.replies_with(ScriptedReply([LOOK_AT]))
    view = (await GEMINI.ask(harness, **GEMINI.build.tools("look"))).view
    expect(len(view.ids) == 1, f"{len(view.ids)} parts for one call")
    expect(isinstance(view.parts[0][2], dict), f"args {view.parts[0][2]!r}")
    return "one part"


async def tokens(harness: Harness) -> str:
    harness.answers({"totalTokens": 3000, "input_tokens": 3000})
    counts = []
    for text in ("Hello", "a long letter " * 500):
        seen = await _post(harness, "countTokens", {"contents": [{"parts": [{"text": text}]}]})
        expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
        clean(check_gemini_tokens(seen.body))
        counts.append(orjson.loads(seen.body)["totalTokens"])
    expect(counts[0] < counts[1] or harness.asked, f"counts {counts}")
    return f"counts {counts}"


async def tokens_of_a_request(harness: Harness) -> str:
    harness.answers({"totalTokens": 3000, "input_tokens": 3000})
    whole = {"model": f"models/{harness.model}", **GEMINI.hello, **GEMINI.build.system("Be a lighthouse.")}
    seen = await _post(harness, "countTokens", {"generateContentRequest": whole})
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    clean(check_gemini_tokens(seen.body))
    return "counted"


async def models(harness: Harness) -> str:
    async with harness.send("GET", "/v1beta/models") as response:
        seen = await taken(response)
    expect(seen.status == 200, f"status {seen.status}")
    clean(check_gemini_models(seen.body))
    return "in this API's shape"


async def one_model(harness: Harness) -> str:
    """Any model of the list: the test model may not be listed yet."""
    async with harness.send("GET", "/v1beta/models") as response:
        listed = orjson.loads((await taken(response)).body).get("models")
    if listed == []:
        return "none is listed"
    name = listed[0]["name"] if listed else f"models/{harness.model}"
    async with harness.send("GET", f"/v1beta/{name}") as response:
        seen = await taken(response)
    expect(seen.status == 200, f"status {seen.status}")
    clean(check_gemini_model(seen.body))
    return "in this API's shape"


async def key_by_header(harness: Harness) -> str:
    """Google's SDKs send the key only in this header."""
    harness.replies_with(ScriptedReply([HELLO]))
    seen = await _post(
        harness, "generateContent", headers={"x-goog-api-key": harness.key or "any", "Authorization": ""}
    )
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    return "taken"


async def key_by_query(harness: Harness) -> str:
    harness.replies_with(ScriptedReply([HELLO]))
    seen = await _post(harness, f"generateContent?key={harness.key or 'any'}", headers={"Authorization": ""})
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    found = [one for one in harness.asked if harness.key and harness.key in f"{one.path} {one.headers}"]
    expect(not found, "the key for the gateway went to the provider")
    return "taken"


async def snake_case(harness: Harness) -> str:
    sent = await _sent(
        harness,
        system_instruction={"parts": [{"text": "Be a lighthouse."}]},
        generation_config={"max_output_tokens": 321},
    )
    lost = [one for one in ("Be a lighthouse.", "321") if one not in str(sent)]
    expect(not lost, f"lost: {lost}")
    return "understood"


async def without_a_role(harness: Harness) -> str:
    sent = await _sent(harness, contents=[{"parts": [{"text": "a lamp"}]}])
    expect("a lamp" in str(sent), "lost")
    return "the user's"


async def result_by_name(harness: Harness) -> str:
    """Calls of the Gemini API usually have no ID."""
    result = {"functionResponse": {"name": "look", "response": {"output": "a lamp"}}}
    sent = await _sent(harness, contents=[_ASK, _CALLED, _answered(result)], **GEMINI.build.tools("look"))
    expect("a lamp" in str(sent), "the result is lost")
    return "behind its call"


async def result_as_an_object(harness: Harness) -> str:
    result = {"functionResponse": {"name": "look", "response": {"light": {"on": True}}}}
    sent = await _sent(harness, contents=[_ASK, _CALLED, _answered(result)], **GEMINI.build.tools("look"))
    expect("light" in str(sent), "the result is lost")
    return "reaches the provider"


async def own_schema(harness: Harness) -> str:
    """Google's own form of a schema, with types in capitals."""
    schema = {"type": "OBJECT", "properties": {"at": {"type": "STRING", "nullable": True}}, "required": ["at"]}
    declared = [{"name": "look", "description": "To look.", "parameters": schema}]
    sent = str(await _sent(harness, tools=[{"functionDeclarations": declared}]))
    native = harness.received[-1].path.partition("?")[0].endswith("enerateContent")
    expect("look" in sent and (native or "OBJECT" not in sent), f"not as a JSON schema: {sent[:120]}")
    return "reaches the provider"


async def safety_settings(harness: Harness) -> str:
    await _sent(harness, safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}])
    return "taken"


async def googles_tools(harness: Harness) -> str:
    await _sent(harness, tools=[{"googleSearch": {}}])
    return "taken"


async def unsigned_call(harness: Harness) -> str:
    call = {**_CALLED["parts"][0], "thoughtSignature": "skip_thought_signature_validator"}
    result = {"functionResponse": {"name": "look", "response": {"output": "a lamp"}}}
    contents = [_ASK, {"role": "model", "parts": [call]}, _answered(result)]
    await _sent(harness, contents=contents, **GEMINI.build.tools("look"))
    return "taken"


async def stop_sequences(harness: Harness) -> str:
    sent = await _sent(harness, generationConfig={"stopSequences": ["THE END"]})
    expect("THE END" in str(sent), "lost")
    return "reach the provider"


async def wrong_contents(harness: Harness) -> str:
    harness.refuses(400, "Invalid value at 'contents'.", "invalid_value")
    seen = await _post(harness, "generateContent", {"contents": 5})
    expect(seen.status == 400, f"status {seen.status}: {seen.body[:80]!r}")
    clean(check_gemini_error(seen.body, 400))
    return "400 INVALID_ARGUMENT"


async def unknown_path(harness: Harness) -> str:
    async with harness.send("POST", "/v1beta/cachedContents", b"{}") as response:
        seen = await taken(response)
    expect(seen.status in (400, 404, 501), f"status {seen.status}")
    clean(check_gemini_error(seen.body, seen.status))
    return f"status {seen.status}, in this API's shape"


CHECKS = [
    Check("gemini", "a stream without alt=sse", array),
    Check("gemini", "a stream without alt=sse that is cut", cut_array),
    Check("gemini", "thoughts that were not asked for", unasked_thoughts),
    Check("gemini", "a call is one part", whole_calls),
    Check("gemini", "countTokens", tokens, asks=False),
    Check("gemini", "countTokens of a whole request", tokens_of_a_request, asks=False),
    Check("gemini", "the list of models", models, asks=False),
    Check("gemini", "one model", one_model, asks=False),
    Check("gemini", "the key in x-goog-api-key", key_by_header),
    Check("gemini", "the key in the address", key_by_query),
    Check("gemini", "members in snake case", snake_case),
    Check("gemini", "a content without a role", without_a_role),
    Check("gemini", "a result that is found by its name", result_by_name),
    Check("gemini", "a result that is an object", result_as_an_object),
    Check("gemini", "a schema in Google's own form", own_schema),
    Check("gemini", "safety settings", safety_settings),
    Check("gemini", "tools that Google runs", googles_tools),
    Check("gemini", "a call that says it was never signed", unsigned_call),
    Check("gemini", "stop sequences", stop_sequences),
    Check("gemini", "contents of a wrong type", wrong_contents, asks=False),
    Check("gemini", "an unknown path", unknown_path, asks=False),
]
