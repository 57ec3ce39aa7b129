"""Checks of what only the Responses API has: tools as Codex sends them, and stored responses."""

from __future__ import annotations

from typing import Any

import orjson

from ..check_responses import (
    check_deleted_response,
    check_input_items,
    check_response,
    check_response_stream,
    check_response_tokens,
)
from ..samples import as_bytes
from .client_apis import RESPONSES, SCHEMA, Reply
from .events import renamed
from .harness import Check, Harness, Seen, clean, expect, taken
from .scripted_reply import Call, Json, ScriptedReply, Thought
from .shared_cases import HELLO, answered, received

PATCH = '*** Begin Patch\n+ a "lamp"\n*** End Patch'
CUSTOM: Json = {"type": "custom", "name": "patch", "description": "To patch.", "format": {"type": "text"}}
NAMESPACE: Json = {
    "type": "namespace",
    "name": "agents",
    "description": "Helpers.",
    "tools": [{"type": "function", "name": "spawn", "description": "To spawn.", "parameters": SCHEMA, "strict": False}],
}
GRAMMAR: Json = {**CUSTOM, "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "a"'}}


async def _sent(harness: Harness, **members: Any) -> tuple[Reply, Json]:
    """The reply, and the request that the provider received."""
    return await answered(RESPONSES, harness, **members)


async def _call(harness: Harness, method: str, path: str, body: Json | None = None) -> Seen:
    async with harness.send(method, f"/v1/responses{path}", None if body is None else as_bytes(body)) as response:
        return await taken(response)


def _is_native(harness: Harness) -> bool:
    return harness.received[-1].path.partition("?")[0].endswith("/responses")


async def _called(harness: Harness, tool: Json, arguments: str, **members: Any) -> list[Json]:
    """The items of an answer that calls the only tool, by the name that the provider received."""
    harness.replies_with(ScriptedReply([HELLO]))
    await RESPONSES.ask(harness, **members, tools=[tool])
    offered = received(harness).get("tools") or []
    expect(len(offered) == 1, f"{len(offered)} tools reach the provider")
    if _is_native(harness):
        return []  # a native call needs no translation
    name = offered[0].get("name") or (offered[0].get("function") or offered[0].get("custom") or {}).get("name")
    harness.replies_with(ScriptedReply([Call("call_a", str(name), arguments)]))
    reply = await RESPONSES.ask(harness, **members, tools=[tool])
    found = [one for one in reply.view.content if one["type"] != "reasoning"]
    clean([one for one in check_response_stream(renamed(reply.seen.body)) if one.what != "missing"])
    return found


async def custom_tool(harness: Harness) -> str:
    return await _custom(harness, CUSTOM)


async def grammar_tool(harness: Harness) -> str:
    return await _custom(harness, GRAMMAR)


async def _custom(harness: Harness, tool: Json) -> str:
    """Codex runs only a custom call."""
    items = await _called(harness, tool, orjson.dumps({"input": PATCH}).decode())
    if not items:
        return "the provider's own"
    got = [(one["type"], one.get("name"), one.get("input")) for one in items]
    expect(got == [("custom_tool_call", "patch", PATCH)], f"items {got}")
    return "a custom call, as it was"


async def namespace_tool(harness: Harness) -> str:
    """Codex knows the tool only by its namespace and its name in it."""
    items = await _called(harness, NAMESPACE, '{"at":"sea"}')
    if not items:
        return "the provider's own"
    got = [(one["type"], one.get("namespace"), one.get("name")) for one in items]
    expect(got == [("function_call", "agents", "spawn")], f"items {got}")
    return "namespace and name"


async def tools_in_the_input(harness: Harness) -> str:
    tool = {"type": "function", "name": "look", "description": "To look.", "parameters": SCHEMA, "strict": False}
    more = {"type": "additional_tools", "role": "developer", "tools": [tool]}
    _, asked = await _sent(harness, input=[more, {"role": "user", "content": "Hello"}])
    place = asked if _is_native(harness) else asked.get("tools")
    expect("To look." in str(place), "the provider is not offered the tool")
    return "offered"


async def no_tools(harness: Harness) -> str:
    await _sent(harness, tools=[], tool_choice="auto")
    expect(_is_native(harness) or received(harness).get("tools") != [], "sent on as []: chat refuses that")
    return "taken"


async def custom_results(harness: Harness) -> str:
    given = [
        {"role": "user", "content": "Hello"},
        {"type": "custom_tool_call", "call_id": "call_a", "name": "patch", "input": PATCH},
        {"type": "custom_tool_call_output", "call_id": "call_a", "output": [{"type": "input_text", "text": "patched"}]},
    ]
    _, asked = await _sent(harness, input=given, tools=[CUSTOM])
    expect("patched" in str(asked) and "Begin Patch" in str(asked), "the call or its result is lost")
    return "both reach the provider"


async def developer(harness: Harness) -> str:
    given = [{"type": "message", "role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    _, asked = await _sent(harness, input=given)
    expect("Be brief." in str(asked), "lost")
    return "reaches the provider"


async def assistant_text(harness: Harness) -> str:
    before = {"role": "assistant", "content": [{"type": "output_text", "text": "A lamp.", "annotations": []}]}
    _, asked = await _sent(
        harness, input=[{"role": "user", "content": "What?"}, before, {"role": "user", "content": "?"}]
    )
    expect("A lamp." in str(asked), "lost")
    return "reaches the provider"


async def echo(harness: Harness) -> str:
    sent_members = {"instructions": "Be brief.", "metadata": {"a": "b"}, "max_output_tokens": 99}
    reply, _ = await _sent(harness, **sent_members)
    if _is_native(harness):
        return "the provider's own"
    lost = {
        name: reply.view.first.get(name) for name in sent_members if reply.view.first.get(name) != sent_members[name]
    }
    expect(not lost, f"not as it was asked: {lost}")
    return "as it was asked"


async def hidden_state(harness: Harness) -> str:
    harness.replies_with(ScriptedReply([Thought("Hm.", state="c3RhdGU="), HELLO]))
    reply = await RESPONSES.ask(harness, store=False)
    items = [one for one in reply.view.content if one["type"] == "reasoning"]
    expect(items, "no reasoning")
    expect(_is_native(harness) or not items[0].get("encrypted_content"), "there, although nobody asked for it")
    return "only if it was asked for"


async def shown_state(harness: Harness) -> str:
    harness.replies_with(ScriptedReply([Thought("Hm.", state="c3RhdGU="), HELLO]))
    reply = await RESPONSES.ask(harness, store=False, include=["reasoning.encrypted_content"])
    items = [one for one in reply.view.content if one["type"] == "reasoning"]
    expect(items and items[0].get("encrypted_content"), "the provider's state is lost")
    return "there"


async def _kept(harness: Harness, **members: Any) -> str:
    """The ID of a stored answer."""
    harness.replies_with(ScriptedReply([HELLO]))
    reply = await RESPONSES.ask(harness, stream=False, **members)
    return str(orjson.loads(reply.seen.body)["id"])


async def goes_on(harness: Harness) -> str:
    id = await _kept(harness, input="The first question")
    _, asked = await _sent(harness, input="The second", previous_response_id=id)
    known = "The first question" in str(asked) or asked.get("previous_response_id")
    expect(known and "The second" in str(asked), "the provider does not know what came before")
    return "with what came before"


async def references(harness: Harness) -> str:
    """References to stored items, as the AI SDK sends them."""
    harness.replies_with(ScriptedReply([HELLO]))
    (item,) = (await RESPONSES.ask(harness)).view.content
    given = [
        {"role": "user", "content": "Hello"},
        {"type": "item_reference", "id": item["id"]},
        {"role": "user", "content": "?"},
    ]
    _, asked = await _sent(harness, input=given)
    expect(HELLO.text in str(asked) or "item_reference" in str(asked), "the item is lost")
    return "found again"


async def nothing_before(harness: Harness) -> str:
    harness.refuses(400, "Previous response with id 'resp_0' not found.", "previous_response_not_found")
    seen = (await RESPONSES.try_to_ask(harness, previous_response_id="resp_00000000000000000000000000000000")).seen
    expect(seen.status in (400, 404), f"status {seen.status}: {seen.body[:80]!r}")
    clean(RESPONSES.check_error(seen.body, seen.status))
    return f"status {seen.status}"


async def fetched(harness: Harness) -> str:
    id = await _kept(harness)
    seen = await _call(harness, "GET", f"/{id}")
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    clean(check_response(seen.body))
    expect(HELLO.text.encode() in seen.body, "without its text")
    return "unchanged"


async def asked_items(harness: Harness) -> str:
    id = await _kept(harness, input="The first question")
    seen = await _call(harness, "GET", f"/{id}/input_items")
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    clean(check_input_items(seen.body))
    expect(b"The first question" in seen.body, "without what was asked")
    return "what was asked"


async def deleted(harness: Harness) -> str:
    id = await _kept(harness)
    seen = await _call(harness, "DELETE", f"/{id}")
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    clean(check_deleted_response(seen.body))
    after = await _call(harness, "GET", f"/{id}")
    expect(after.status == 404, f"status {after.status} after it")
    return "gone"


async def not_kept(harness: Harness) -> str:
    id = await _kept(harness, store=False)
    seen = await _call(harness, "GET", f"/{id}")
    expect(seen.status == 404, f"status {seen.status}")
    return "404"


async def tokens(harness: Harness) -> str:
    harness.answers({"object": "response.input_tokens", "input_tokens": 7})
    seen = await _call(harness, "POST", "/input_tokens", {"model": harness.model, "input": "Hello"})
    expect(seen.status == 200, f"status {seen.status}: {seen.body[:80]!r}")
    clean(check_response_tokens(seen.body))
    return "a number"


async def upgrade(harness: Harness) -> str:
    """Codex asks for a WebSocket first; a clear refusal makes it continue at once by HTTP."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAA",
    }
    async with harness.send("GET", "/v1/responses", headers=headers) as response:
        expect(response.status in (101, 426), f"status {response.status}")
        return f"status {response.status}"


CHECKS = [
    Check("responses", "a custom tool", custom_tool),
    Check("responses", "a custom tool with a grammar", grammar_tool),
    Check("responses", "a tool in a namespace", namespace_tool),
    Check("responses", "tools inside the input", tools_in_the_input),
    Check("responses", "an empty list of tools", no_tools),
    Check("responses", "a result of a custom tool", custom_results),
    Check("responses", "a developer's message", developer),
    Check("responses", "what the assistant said before", assistant_text),
    Check("responses", "the response says the request again", echo),
    Check("responses", "encrypted_content that nobody asked for", hidden_state),
    Check("responses", "encrypted_content that was asked for", shown_state),
    Check("responses", "previous_response_id", goes_on),
    Check("responses", "item_reference", references),
    Check("responses", "a previous response that is not there", nothing_before, asks=False),
    Check("responses", "a response is kept", fetched),
    Check("responses", "the input of a response is kept", asked_items),
    Check("responses", "a response is deleted", deleted),
    Check("responses", "store: false", not_kept),
    Check("responses", "input_tokens", tokens, asks=False),
    Check("responses", "an upgrade to a WebSocket", upgrade, asks=False),
]
