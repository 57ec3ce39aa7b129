"""Checks of what only Gemini's API has, most of it as Google's SDKs and Gemini CLI ask for it."""

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
from .both import HELLO, HM, LOOK_AT, begun
from .gemini_face import GEMINI
from .said import Json, Said
from .stage import Check, Seen, Stage, clean, expect, taken

_ASK = {"role": "user", "parts": [{"text": "Hello"}]}
_CALLED: Json = {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {"at": "sea"}}}]}


def _answered(*parts: Json) -> Json:
    return {"role": "user", "parts": list(parts)}


async def _post(stage: Stage, method: str, body: Any = None, headers: dict[str, str] | None = None) -> Seen:
    said = as_bytes(GEMINI.hello if body is None else body)
    async with stage.send("POST", f"/v1beta/models/{stage.model}:{method}", said, headers) as response:
        return await taken(response)


async def _sent(stage: Stage, **members: Any) -> Json:
    """What the provider is asked, when it has answered well."""
    stage.says(Said([HELLO]))
    reply = await GEMINI.ask(stage, **members)
    expect(reply.heard.text == HELLO.text, f"text {reply.heard.text!r}")
    expect(stage.heard, "the provider was not asked in an API that it has")
    sent: Json = stage.heard[-1].json
    return sent


async def array(stage: Stage) -> str:
    stage.says(Said([HELLO]))
    seen = await _post(stage, "streamGenerateContent")
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    expect(seen.content_type.startswith("application/json"), seen.content_type)
    clean(check_gemini_array(seen.body))
    return "one array"


async def cut_array(stage: Stage) -> str:
    begun(stage, framing="close")
    seen = await _post(stage, "streamGenerateContent")
    told = seen.status >= 400 or seen.broken or b'"error"' in seen.body
    expect(told, f"a clean end: {seen.body[-80:]!r}")
    return "told"


async def unasked_thoughts(stage: Stage) -> str:
    stage.says(Said([HM, HELLO]))
    heard = (await GEMINI.ask(stage, generationConfig={})).heard
    expect(heard.text == HELLO.text, f"text {heard.text!r}")
    return "left out" if len(heard.parts) == 1 else "told apart from the text"


async def whole_calls(stage: Stage) -> str:
    """SDKs take each part with a call for a whole call."""
    stage.says(Said([LOOK_AT]))
    heard = (await GEMINI.ask(stage, **GEMINI.says.tools("look"))).heard
    expect(len(heard.ids) == 1, f"{len(heard.ids)} parts for one call")
    expect(isinstance(heard.parts[0][2], dict), f"args {heard.parts[0][2]!r}")
    return "one part"


async def tokens(stage: Stage) -> str:
    stage.answers({"totalTokens": 3000, "input_tokens": 3000})
    counts = []
    for text in ("Hello", "a long letter " * 500):
        seen = await _post(stage, "countTokens", {"contents": [{"parts": [{"text": text}]}]})
        expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
        clean(check_gemini_tokens(seen.body))
        counts.append(orjson.loads(seen.body)["totalTokens"])
    expect(counts[0] < counts[1] or stage.asked, f"counts {counts}")
    return f"counts {counts}"


async def tokens_of_a_request(stage: Stage) -> str:
    stage.answers({"totalTokens": 3000, "input_tokens": 3000})
    whole = {"model": f"models/{stage.model}", **GEMINI.hello, **GEMINI.says.system("Be a lighthouse.")}
    seen = await _post(stage, "countTokens", {"generateContentRequest": whole})
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    clean(check_gemini_tokens(seen.body))
    return "counted"


async def models(stage: Stage) -> str:
    async with stage.send("GET", "/v1beta/models") as response:
        seen = await taken(response)
    expect(seen.status == 200, f"status {seen.status}")
    clean(check_gemini_models(seen.body))
    return "in this API's shape"


async def one_model(stage: Stage) -> str:
    """The first of the list; the provider's own may not be listed yet."""
    async with stage.send("GET", "/v1beta/models") as response:
        listed = orjson.loads((await taken(response)).body).get("models")
    if listed == []:
        return "none is listed"
    name = listed[0]["name"] if listed else f"models/{stage.model}"
    async with stage.send("GET", f"/v1beta/{name}") as response:
        seen = await taken(response)
    expect(seen.status == 200, f"status {seen.status}")
    clean(check_gemini_model(seen.body))
    return "in this API's shape"


async def key_by_header(stage: Stage) -> str:
    """Google's SDKs have no other."""
    stage.says(Said([HELLO]))
    seen = await _post(stage, "generateContent", headers={"x-goog-api-key": stage.key or "any", "Authorization": ""})
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    return "taken"


async def key_by_query(stage: Stage) -> str:
    stage.says(Said([HELLO]))
    seen = await _post(stage, f"generateContent?key={stage.key or 'any'}", headers={"Authorization": ""})
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    told = [one for one in stage.asked if stage.key and stage.key in f"{one.path} {one.headers}"]
    expect(not told, "the key for the gateway went to the provider")
    return "taken"


async def snake_case(stage: Stage) -> str:
    sent = await _sent(
        stage,
        system_instruction={"parts": [{"text": "Be a lighthouse."}]},
        generation_config={"max_output_tokens": 321},
    )
    lost = [one for one in ("Be a lighthouse.", "321") if one not in str(sent)]
    expect(not lost, f"lost: {lost}")
    return "understood"


async def without_a_role(stage: Stage) -> str:
    sent = await _sent(stage, contents=[{"parts": [{"text": "a lamp"}]}])
    expect("a lamp" in str(sent), "lost")
    return "the user's"


async def result_by_name(stage: Stage) -> str:
    """Calls of the Gemini API have no ids as a rule."""
    result = {"functionResponse": {"name": "look", "response": {"output": "a lamp"}}}
    sent = await _sent(stage, contents=[_ASK, _CALLED, _answered(result)], **GEMINI.says.tools("look"))
    expect("a lamp" in str(sent), "the result is lost")
    return "behind its call"


async def result_as_an_object(stage: Stage) -> str:
    result = {"functionResponse": {"name": "look", "response": {"light": {"on": True}}}}
    sent = await _sent(stage, contents=[_ASK, _CALLED, _answered(result)], **GEMINI.says.tools("look"))
    expect("light" in str(sent), "the result is lost")
    return "reaches the provider"


async def own_schema(stage: Stage) -> str:
    """Google's own form of a schema, with types in capitals."""
    schema = {"type": "OBJECT", "properties": {"at": {"type": "STRING", "nullable": True}}, "required": ["at"]}
    declared = [{"name": "look", "description": "To look.", "parameters": schema}]
    sent = str(await _sent(stage, tools=[{"functionDeclarations": declared}]))
    native = stage.heard[-1].path.partition("?")[0].endswith("enerateContent")
    expect("look" in sent and (native or "OBJECT" not in sent), f"not as a JSON schema: {sent[:120]}")
    return "reaches the provider"


async def safety_settings(stage: Stage) -> str:
    await _sent(stage, safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}])
    return "taken"


async def googles_tools(stage: Stage) -> str:
    await _sent(stage, tools=[{"googleSearch": {}}])
    return "taken"


async def unsigned_call(stage: Stage) -> str:
    call = {**_CALLED["parts"][0], "thoughtSignature": "skip_thought_signature_validator"}
    result = {"functionResponse": {"name": "look", "response": {"output": "a lamp"}}}
    contents = [_ASK, {"role": "model", "parts": [call]}, _answered(result)]
    await _sent(stage, contents=contents, **GEMINI.says.tools("look"))
    return "taken"


async def stop_sequences(stage: Stage) -> str:
    sent = await _sent(stage, generationConfig={"stopSequences": ["THE END"]})
    expect("THE END" in str(sent), "lost")
    return "reach the provider"


async def wrong_contents(stage: Stage) -> str:
    stage.refuses(400, "Invalid value at 'contents'.", "invalid_value")
    seen = await _post(stage, "generateContent", {"contents": 5})
    expect(seen.status == 400, f"status {seen.status}: {seen.body[:80]!r}")
    clean(check_gemini_error(seen.body, 400))
    return "400 INVALID_ARGUMENT"


async def unknown_path(stage: Stage) -> str:
    async with stage.send("POST", "/v1beta/cachedContents", b"{}") as response:
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
