"""Checks of what only the Messages API has, mostly with requests of Claude Code."""

from __future__ import annotations

from typing import Any

import orjson

from ..check_messages import check_message_error, check_message_models, check_message_tokens
from ..samples import as_bytes
from .client_apis import MESSAGES, SCHEMA
from .harness import Check, Harness, Seen, clean, expect, taken
from .scripted_reply import Json, ScriptedReply
from .shared_cases import HELLO, answered

VERSION = {"anthropic-version": "2023-06-01"}
BILLING = "x-anthropic-billing-header: cc_version=2.1.332"
_ASK = {"role": "user", "content": "Hello"}


async def _post(harness: Harness, path: str, **members: Any) -> Seen:
    body = as_bytes({"model": harness.model, **MESSAGES.hello, **members})
    async with harness.send("POST", path, body, VERSION) as response:
        return await taken(response)


async def _sent(harness: Harness, **members: Any) -> Json:
    """The request that the provider receives."""
    return (await answered(MESSAGES, harness, **members))[1]


async def request_id(harness: Harness) -> str:
    harness.replies_with(ScriptedReply([HELLO]))
    seen = (await MESSAGES.ask(harness)).seen
    expect(seen.headers.get("request-id"), "no request-id, which is what the SDKs read")
    return "there"


async def beta_address(harness: Harness) -> str:
    harness.replies_with(ScriptedReply([HELLO]))
    seen = await _post(harness, "/v1/messages?beta=true")
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    return "the same"


async def first_estimate(harness: Harness) -> str:
    """Claude Code reads the size of its context from the first event."""
    harness.replies_with(ScriptedReply([HELLO]))
    long = [{"role": "user", "content": "a long letter " * 500}]
    usage = (await MESSAGES.ask(harness, messages=long)).view.first.get("usage") or {}
    expect(any(usage.get(name) for name in ("input_tokens", "cache_read_input_tokens")), f"usage {usage}")
    return f"input_tokens {usage.get('input_tokens')}"


async def tokens(harness: Harness) -> str:
    harness.answers({"input_tokens": 3000})
    counts = []
    for text in ("Hello", "a long letter " * 500):
        seen = await _post(harness, "/v1/messages/count_tokens", messages=[{"role": "user", "content": text}])
        expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
        clean(check_message_tokens(seen.body))
        counts.append(orjson.loads(seen.body)["input_tokens"])
    expect(counts[0] < counts[1] or harness.asked, f"counts {counts}")
    return f"counts {counts}"


async def models(harness: Harness) -> str:
    async with harness.send("GET", "/v1/models?limit=1000", headers=VERSION) as response:
        seen = await taken(response)
    expect(seen.status == 200, f"status {seen.status}")
    clean(check_message_models(seen.body))
    return "in this API's shape"


async def nobody_there(harness: Harness) -> str:
    async with harness.send("HEAD", "/api/hello") as response:
        expect(response.status < 500, f"status {response.status}")
        return f"status {response.status}"


async def claude_code(harness: Harness) -> str:
    await _sent(
        harness,
        thinking={"type": "adaptive", "display": "omitted"},
        output_config={"effort": "high"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        metadata={"user_id": '{"device_id":"a","session_id":"b"}'},
    )
    return "taken"


async def billing_header(harness: Harness) -> str:
    system = [{"type": "text", "text": BILLING}, {"type": "text", "text": "Be brief."}]
    sent = await _sent(harness, system=system)
    expect("Be brief." in str(sent), "the system prompt is lost")
    native = harness.received[-1].path.partition("?")[0].endswith("/messages")
    expect(native or BILLING not in str(sent), "the model reads it")
    return "left out" if BILLING not in str(sent) else "passed on to Messages"


async def later_system(harness: Harness) -> str:
    messages = [_ASK, {"role": "system", "content": [{"type": "text", "text": "It is dark now."}]}]
    expect("It is dark now." in str(await _sent(harness, messages=messages)), "lost")
    return "reaches the provider"


async def effort_message(harness: Harness) -> str:
    messages = [_ASK, {"role": "system", "content": [], "output_config": {"effort": "low"}}]
    await _sent(harness, messages=messages)
    return "taken"


def _tool(name: str, **members: Any) -> Json:
    return {"name": name, "description": f"To {name}.", "input_schema": SCHEMA, **members}


async def deferred_tools(harness: Harness) -> str:
    sent = await _sent(harness, tools=[_tool("look"), _tool("later", defer_loading=True)])
    offered = str(sent.get("tools"))
    expect("look" in offered, "the other tool is lost")
    native = "defer_loading" in offered
    expect(native or "later" not in offered, "offered before it was asked for")
    return "passed on to Messages" if native else "not offered yet"


async def referenced_tools(harness: Harness) -> str:
    found = [{"type": "tool_reference", "tool_name": "later"}]
    messages = [
        _ASK,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": found}]},
    ]
    sent = await _sent(harness, tools=[_tool("look"), _tool("later", defer_loading=True)], messages=messages)
    expect("later" in str(sent.get("tools")), "not offered although it was found")
    return "offered"


async def failed_result(harness: Harness) -> str:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no lamp", "is_error": True}
    messages = [
        _ASK,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}]},
        {"role": "user", "content": [result]},
    ]
    sent = str(await _sent(harness, tools=[_tool("look")], messages=messages))
    expect("no lamp" in sent, "the result is lost")
    expect("rror" in sent, "the model cannot know that it is an error")
    return "told as an error"


async def empty_result(harness: Harness) -> str:
    messages = [
        _ASK,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]},
    ]
    await _sent(harness, tools=[_tool("look")], messages=messages)
    return "taken"


async def unsigned_thinking(harness: Harness) -> str:
    content = [{"type": "thinking", "thinking": "Hm.", "signature": ""}, {"type": "text", "text": "Yes."}]
    messages = [_ASK, {"role": "assistant", "content": content}, _ASK]
    expect("Yes." in str(await _sent(harness, messages=messages)), "the text beside it is lost")
    return "taken"


async def stop_sequences(harness: Harness) -> str:
    sent = await _sent(harness, stop_sequences=["THE END"])
    expect("THE END" in str(sent) or harness.received[-1].path.endswith("/responses"), "lost")
    return "reach the provider, if it has them"


async def overload(harness: Harness) -> str:
    harness.refuses(503, "Overloaded.", "overloaded")
    seen = (await MESSAGES.try_to_ask(harness)).seen
    expect(seen.status == 529, f"status {seen.status}")
    clean(check_message_error(seen.body, 529))
    return "529 overloaded_error"


async def unknown_model(harness: Harness) -> str:
    harness.refuses(404, "The model 'no-such-model-anywhere' does not exist.", "model_not_found")
    seen = await _post(harness, "/v1/messages", model="no-such-model-anywhere")
    expect(seen.status == 404, f"status {seen.status}")
    clean(check_message_error(seen.body, 404))
    expect(b"model: no-such-model-anywhere" in seen.body, f"not in Anthropic's words: {seen.body[:100]!r}")
    return "404, in Anthropic's words"


async def long_prompt(harness: Harness) -> str:
    text = "This model's maximum context length is 8192 tokens, but 9000 tokens came."
    harness.refuses(400, text, "context_length_exceeded")
    seen = (await MESSAGES.try_to_ask(harness)).seen
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
