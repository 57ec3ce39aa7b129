"""Checks of what only Messages has, most of it as Claude Code asks for it."""

from __future__ import annotations

from typing import Any

import orjson

from ..check_messages import check_message_error, check_message_models, check_message_tokens
from ..samples import as_bytes
from .both import HELLO
from .faces import MESSAGES, SCHEMA
from .said import Json, Said
from .stage import Check, Seen, Stage, clean, expect, taken

VERSION = {"anthropic-version": "2023-06-01"}
BILLING = "x-anthropic-billing-header: cc_version=2.1.332"
_ASK = {"role": "user", "content": "Hello"}


async def _post(stage: Stage, path: str, **members: Any) -> Seen:
    body = as_bytes({"model": stage.model, **MESSAGES.hello, **members})
    async with stage.send("POST", path, body, VERSION) as response:
        return await taken(response)


async def _sent(stage: Stage, **members: Any) -> Json:
    """What the provider is asked, when it has answered well."""
    stage.says(Said([HELLO]))
    reply = await MESSAGES.ask(stage, **members)
    expect(reply.heard.text == HELLO.text, f"text {reply.heard.text!r}")
    expect(stage.heard, "the provider was not asked in an API that it has")
    sent: Json = stage.heard[-1].json
    return sent


async def request_id(stage: Stage) -> str:
    stage.says(Said([HELLO]))
    seen = (await MESSAGES.ask(stage)).seen
    expect(seen.headers.get("request-id"), "no request-id, which is what the SDKs read")
    return "there"


async def beta_address(stage: Stage) -> str:
    stage.says(Said([HELLO]))
    seen = await _post(stage, "/v1/messages?beta=true")
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    return "the same"


async def first_estimate(stage: Stage) -> str:
    """Claude Code measures by the first event how full its context is."""
    stage.says(Said([HELLO]))
    long = [{"role": "user", "content": "a long letter " * 500}]
    usage = (await MESSAGES.ask(stage, messages=long)).heard.first.get("usage") or {}
    expect(any(usage.get(name) for name in ("input_tokens", "cache_read_input_tokens")), f"usage {usage}")
    return f"input_tokens {usage.get('input_tokens')}"


async def tokens(stage: Stage) -> str:
    stage.answers({"input_tokens": 3000})
    counts = []
    for text in ("Hello", "a long letter " * 500):
        seen = await _post(stage, "/v1/messages/count_tokens", messages=[{"role": "user", "content": text}])
        expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
        clean(check_message_tokens(seen.body))
        counts.append(orjson.loads(seen.body)["input_tokens"])
    expect(counts[0] < counts[1] or stage.asked, f"counts {counts}")
    return f"counts {counts}"


async def models(stage: Stage) -> str:
    async with stage.send("GET", "/v1/models?limit=1000", headers=VERSION) as response:
        seen = await taken(response)
    expect(seen.status == 200, f"status {seen.status}")
    clean(check_message_models(seen.body))
    return "in this API's shape"


async def nobody_there(stage: Stage) -> str:
    async with stage.send("HEAD", "/api/hello") as response:
        expect(response.status < 500, f"status {response.status}")
        return f"status {response.status}"


async def claude_code(stage: Stage) -> str:
    await _sent(
        stage,
        thinking={"type": "adaptive", "display": "omitted"},
        output_config={"effort": "high"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        metadata={"user_id": '{"device_id":"a","session_id":"b"}'},
    )
    return "taken"


async def billing_header(stage: Stage) -> str:
    system = [{"type": "text", "text": BILLING}, {"type": "text", "text": "Be brief."}]
    sent = await _sent(stage, system=system)
    expect("Be brief." in str(sent), "the system prompt is lost")
    native = stage.heard[-1].path.partition("?")[0].endswith("/messages")
    expect(native or BILLING not in str(sent), "the model reads it")
    return "left out" if BILLING not in str(sent) else "passed on to Messages"


async def later_system(stage: Stage) -> str:
    messages = [_ASK, {"role": "system", "content": [{"type": "text", "text": "It is dark now."}]}]
    expect("It is dark now." in str(await _sent(stage, messages=messages)), "lost")
    return "reaches the provider"


async def effort_message(stage: Stage) -> str:
    messages = [_ASK, {"role": "system", "content": [], "output_config": {"effort": "low"}}]
    await _sent(stage, messages=messages)
    return "taken"


def _tool(name: str, **members: Any) -> Json:
    return {"name": name, "description": f"To {name}.", "input_schema": SCHEMA, **members}


async def deferred_tools(stage: Stage) -> str:
    sent = await _sent(stage, tools=[_tool("look"), _tool("later", defer_loading=True)])
    offered = str(sent.get("tools"))
    expect("look" in offered, "the other tool is lost")
    native = "defer_loading" in offered
    expect(native or "later" not in offered, "offered before it was asked for")
    return "passed on to Messages" if native else "not offered yet"


async def referenced_tools(stage: Stage) -> str:
    found = [{"type": "tool_reference", "tool_name": "later"}]
    messages = [
        _ASK,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": found}]},
    ]
    sent = await _sent(stage, tools=[_tool("look"), _tool("later", defer_loading=True)], messages=messages)
    expect("later" in str(sent.get("tools")), "not offered although it was found")
    return "offered"


async def failed_result(stage: Stage) -> str:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no lamp", "is_error": True}
    messages = [
        _ASK,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}]},
        {"role": "user", "content": [result]},
    ]
    sent = str(await _sent(stage, tools=[_tool("look")], messages=messages))
    expect("no lamp" in sent, "the result is lost")
    expect("rror" in sent, "the model cannot know that it is an error")
    return "told as an error"


async def empty_result(stage: Stage) -> str:
    messages = [
        _ASK,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]},
    ]
    await _sent(stage, tools=[_tool("look")], messages=messages)
    return "taken"


async def unsigned_thinking(stage: Stage) -> str:
    said = [{"type": "thinking", "thinking": "Hm.", "signature": ""}, {"type": "text", "text": "Yes."}]
    messages = [_ASK, {"role": "assistant", "content": said}, _ASK]
    expect("Yes." in str(await _sent(stage, messages=messages)), "the text beside it is lost")
    return "taken"


async def stop_sequences(stage: Stage) -> str:
    sent = await _sent(stage, stop_sequences=["THE END"])
    expect("THE END" in str(sent) or stage.heard[-1].path.endswith("/responses"), "lost")
    return "reach the provider, if it has them"


async def overload(stage: Stage) -> str:
    stage.refuses(503, "Overloaded.", "overloaded")
    seen = (await MESSAGES.try_to_ask(stage)).seen
    expect(seen.status == 529, f"status {seen.status}")
    clean(check_message_error(seen.body, 529))
    return "529 overloaded_error"


async def unknown_model(stage: Stage) -> str:
    stage.refuses(404, "The model 'no-such-model-anywhere' does not exist.", "model_not_found")
    seen = await _post(stage, "/v1/messages", model="no-such-model-anywhere")
    expect(seen.status == 404, f"status {seen.status}")
    clean(check_message_error(seen.body, 404))
    expect(b"model: no-such-model-anywhere" in seen.body, f"not in Anthropic's words: {seen.body[:100]!r}")
    return "404, in Anthropic's words"


async def long_prompt(stage: Stage) -> str:
    text = "This model's maximum context length is 8192 tokens, but 9000 tokens came."
    stage.refuses(400, text, "context_length_exceeded")
    seen = (await MESSAGES.try_to_ask(stage)).seen
    expect(seen.status == 400, f"status {seen.status}")
    expect(b"prompt is too long" in seen.body, f"Claude Code does not compact for {seen.body[:100]!r}")
    return "in Anthropic's words"


CHECKS = [
    Check("messages", "request-id", request_id),
    Check("messages", "/v1/messages?beta=true", beta_address),
    Check("messages", "an estimate in the first event", first_estimate),
    Check("messages", "count_tokens", tokens, asks=False),
    Check("messages", "the list of models", models, asks=False),
    Check("messages", "HEAD /api/hello", nobody_there, asks=False),
    Check("messages", "what Claude Code asks of each model", claude_code),
    Check("messages", "Claude Code's billing header is not for the model", billing_header),
    Check("messages", "a system message between others", later_system),
    Check("messages", "a system message that says only an effort", effort_message),
    Check("messages", "tools for later", deferred_tools),
    Check("messages", "tools that were found", referenced_tools),
    Check("messages", "a result that is an error", failed_result),
    Check("messages", "a result without content", empty_result),
    Check("messages", "thinking without a signature", unsigned_thinking),
    Check("messages", "stop sequences", stop_sequences),
    Check("messages", "an overload is 529", overload),
    Check("messages", "an unknown model is told in Anthropic's words", unknown_model, asks=False),
    Check("messages", "a prompt that is too long is told in Anthropic's words", long_prompt),
]
