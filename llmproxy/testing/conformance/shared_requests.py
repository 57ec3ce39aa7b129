"""Checks for Messages, Responses and Gemini: all parts of a request reach the provider."""

from __future__ import annotations

from typing import Any

import orjson

from .client_apis import PICTURE, ClientApi
from .harness import Harness, expect, taken
from .scripted_reply import ScriptedReply
from .shared_cases import HELLO, PDF, received


async def _sends(api: ClientApi, harness: Harness, wanted: list[str], **members: Any) -> str:
    harness.replies_with(ScriptedReply([HELLO]))
    await api.ask(harness, **members)
    sent = sent_on(harness)
    lost = [one for one in wanted if one not in sent]
    expect(not lost, f"not sent on: {', '.join(lost)}")
    return "sent on"


def sent_on(harness: Harness) -> str:
    """The request that the provider received, as text; JSON inside a string is unescaped."""
    return orjson.dumps(received(harness)).decode().replace('\\"', '"')


async def system(api: ClientApi, harness: Harness) -> str:
    return await _sends(api, harness, ["Be a lighthouse.", "Hello"], **api.build.system("Be a lighthouse."))


async def picture(api: ClientApi, harness: Harness) -> str:
    return await _sends(api, harness, [PICTURE, "What is it?"], **api.build.picture())


async def document(api: ClientApi, harness: Harness) -> str:
    await _sends(api, harness, [PDF], **api.build.document(PDF))
    expect("a.pdf" in sent_on(harness) or _in_gemini(harness), "its name is lost")
    return "sent on"


def _in_gemini(harness: Harness) -> bool:
    """Whether the provider was called by Gemini's API, which has file names only on Vertex."""
    return harness.received[-1].path.partition("?")[0].endswith("enerateContent")


async def offered_tools(api: ClientApi, harness: Harness) -> str:
    wanted = ['"look"', '"wait"', "To look.", "a lighthouse", '"required":["at"]']
    return await _sends(api, harness, wanted, **api.build.tools("look", "wait"))


async def must_call(api: ClientApi, harness: Harness) -> str:
    await _sends(api, harness, [], **api.build.tools("look", "wait"), **api.build.must_call("wait"))
    choice = _choice(harness)
    expect("wait" in str(choice), f"tool_choice {choice}")
    return "sent on"


def _choice(harness: Harness) -> Any:
    sent = harness.received[-1].json
    return sent.get("tool_choice", sent.get("toolConfig"))


async def must_call_any(api: ClientApi, harness: Harness) -> str:
    await _sends(api, harness, [], **api.build.tools("look"), **api.build.must_call(None))
    choice = _choice(harness)
    any_tool = choice in ("required", {"type": "any"}) or "'ANY'" in str(choice)
    expect(any_tool or "look" in str(choice), f"tool_choice {choice}")
    return "sent on"


async def results(api: ClientApi, harness: Harness) -> str:
    """Each result comes after its call, and the user's text after both."""
    content = [api.build.call("call_a", "look", {"at": "sea"}), api.build.call("call_b", "wait", {"for": "light"})]
    turn = api.build.turn(content, {"call_a": "a lamp", "call_b": "a bell"})
    await _sends(api, harness, ["a lamp", "a bell", "Go on."], **api.build.tools("look", "wait"), **turn)
    sent = sent_on(harness)
    places = [sent.rindex(word) for word in ("Hello", '"sea"', "a lamp", "Go on.")]
    expect(places == sorted(places), "not in their order")
    if harness.received[-1].path.endswith("/chat/completions"):
        roles = [one["role"] for one in harness.received[-1].json["messages"]]
        expect(roles == ["user", "assistant", "tool", "tool", "user"], f"roles {roles}")
    return "in their order"


async def picture_results(api: ClientApi, harness: Harness) -> str:
    content = [api.build.call("call_a", "look", {"at": "sea"})]
    turn = api.build.turn(content, {"call_a": api.build.picture_result()})
    return await _sends(api, harness, [PICTURE, "a lamp"], **api.build.tools("look"), **turn)


async def limits(api: ClientApi, harness: Harness) -> str:
    await _sends(api, harness, ["321", "0.25"], **api.build.limits(321, 0.25))
    sent = {**harness.received[-1].json, **harness.received[-1].json.get("generationConfig", {})}
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
    limit, top = [sent.get(name) for name in names], sent.get("top_p", sent.get("topP"))
    expect(321 in limit and top == 0.25, f"limits {limit}, top_p {top}")
    return "sent on"


async def schema(api: ClientApi, harness: Harness) -> str:
    await _sends(api, harness, ["a lighthouse"], **api.build.schema())
    expect("json_schema" in sent_on(harness) or _in_gemini(harness), "not said to be the answer's")
    return "sent on"


async def effort(api: ClientApi, harness: Harness) -> str:
    return await _sends(api, harness, ['"low"'], **api.build.effort("low"))


async def private(api: ClientApi, harness: Harness) -> str:
    """The client's cookies, address and gateway key must not reach the provider."""
    harness.replies_with(ScriptedReply([HELLO]))
    secrets = {"Cookie": "session=ours", "X-Forwarded-For": "192.0.2.7"}
    body = harness.body(api.path, {"model": harness.model, **api.hello})
    async with harness.send("POST", harness.address(api.path), body, secrets) as response:
        await taken(response)
    expect(harness.received, "the provider was not asked")
    values = list(harness.received[-1].headers.values())
    leaked = [one for one in (*secrets.values(), harness.key) if one and any(one in value for value in values)]
    expect(not leaked, f"sent on: {', '.join(leaked)}")
    return "nothing of the client's"
