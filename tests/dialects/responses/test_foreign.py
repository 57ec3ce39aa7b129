"""Claude and Gemini behind /v1/responses: what binds their reasoning to their calls goes round through the client."""

from __future__ import annotations

from typing import Any

import orjson

from llmproxy.testing import Behaviour, FakeProvider
from tests.dialects.responses.house import House, Open, last
from tests.dialects.streams import Json

LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False}
ASKED = {"tools": [LOOK], "include": ["reasoning.encrypted_content"]}
STREAM = {"content-type": "text/event-stream"}


def claude(*blocks: tuple[Json, Json | None], stop: str = "tool_use") -> Behaviour:
    """Claude's stream: of each block how it begins, and the delta that makes it whole."""
    usage = {"input_tokens": 9, "output_tokens": 1}
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    events: list[Json] = [{"type": "message_start", "message": {**start, "stop_reason": None, "stop_sequence": None}}]
    for index, (block, delta) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": one} for one in _deltas(block, delta)]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage})
    events.append({"type": "message_stop"})
    return Behaviour(
        [b"event: %b\ndata: %b\n\n" % (one["type"].encode(), orjson.dumps(one)) for one in events], headers=STREAM
    )


def _deltas(block: Json, delta: Json | None) -> list[Json]:
    signed = [{"type": "signature_delta", "signature": "c2lnbmVk"}] if block["type"] == "thinking" else []
    return [*([delta] if delta else []), *signed]


THOUGHT = ({"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": "I look."})
HIDDEN = ({"type": "redacted_thinking", "data": "aGlkZGVu"}, None)
CALL = (
    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
    {"type": "input_json_delta", "partial_json": "{}"},
)
TEXT = ({"type": "text", "text": ""}, {"type": "text_delta", "text": "Found."})


async def turns(house: House) -> list[Json]:
    """A turn with a call, and one with its result. Gives what the first one said."""
    first = last(await house.events(input="Hi", **ASKED))["output"]
    made: list[Any] = [{"role": "user", "content": "Hi"}, *first]
    results = [
        {"type": "function_call_output", "call_id": one["call_id"], "output": "Here."}
        for one in first
        if one["type"] == "function_call"
    ]
    await house.events(input=[*made, *results], **ASKED)
    return list(first)


async def test_claudes_signed_thoughts_come_back_to_it(opened: Open, provider: FakeProvider) -> None:
    provider.does(claude(THOUGHT, HIDDEN, CALL), claude(TEXT, stop="end_turn"))
    async with opened("anthropic") as house:
        said = await turns(house)
    assert [one["type"] for one in said][-1] == "function_call"
    assert said[0]["summary"] == [{"type": "summary_text", "text": "I look."}]
    (turn,) = [one for one in provider.last.json["messages"] if one["role"] == "assistant"]
    assert turn["content"][0] == {"type": "thinking", "thinking": "I look.", "signature": "c2lnbmVk"}
    assert {"type": "redacted_thinking", "data": "aGlkZGVu"} in turn["content"]
    assert turn["content"][-1]["type"] == "tool_use"


async def test_geminis_signature_of_a_call_comes_back_to_another_process(opened: Open, provider: FakeProvider) -> None:
    call = {"functionCall": {"name": "look", "args": {}}, "thoughtSignature": "c2lnbmVk"}
    parts: list[Json] = [{"text": "I look.", "thought": True}, call]
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12}

    def gemini(*parts: Json) -> Behaviour:
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        data = orjson.dumps({"candidates": [candidate], "usageMetadata": usage})
        return Behaviour([b"data: " + data + b"\r\n\r\n"], headers=STREAM)

    provider.does(gemini(*parts))
    async with opened("gemini") as house:
        first = last(await house.events(input="Hi", **ASKED))["output"]
    provider.does(gemini({"text": "Found."}))
    (made,) = [one for one in first if one["type"] == "function_call"]
    result = {"type": "function_call_output", "call_id": made["call_id"], "output": "Here."}
    async with opened("gemini") as house:
        await house.events(input=[{"role": "user", "content": "Hi"}, *first, result], **ASKED)
    assert provider.last.json["contents"][1]["parts"][0]["thoughtSignature"] == "c2lnbmVk"
