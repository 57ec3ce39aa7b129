"""Claude Code forgets the thoughts of turns whose `model` is not the name that it asked for: it is given that name."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmproxy.testing import Behaviour, FakeProvider
from tests.dialects.messages.house import House, Open, said
from tests.dialects.streams import Json, cut, parsed

CLAUDE_CODE = {"User-Agent": "claude-cli/2.1.197 (external, sdk-cli)"}
USAGE = {"input_tokens": 1, "output_tokens": 1}
WHOLE: Json = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m-20260101", "stop_reason": "tool_use",
    "stop_sequence": None, "usage": USAGE,
    "content": [{"type": "tool_use", "id": "toolu_1", "name": "ask", "input": {"model": "inner", "big": 1.0}}],
}  # fmt: skip
STREAM = (
    b'event: ping\ndata: {"type": "ping"}\n\n'
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model": "m-20260101","content":[],"stop_reason":null,"stop_sequence":null,'
    b'"usage":{"input_tokens":1,"output_tokens":1}}  }\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
    b'"text":"message_start \\"model\\": \\"m-20260101\\""}}\n\n'
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"input_tokens":1,"output_tokens":1}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)  # fmt: skip


async def asked(house: House, *, stream: bool, **headers: str) -> bytes:
    body = {"model": "fake/m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    sent = {"Content-Type": "application/json", **headers}
    async with house.client.post(house.url + "/v1/messages", data=orjson.dumps(body), headers=sent) as response:
        return await response.read()


@pytest.mark.parametrize("size", [7, 4096])
async def test_a_passed_stream_differs_in_that_name_alone(opened: Open, provider: FakeProvider, size: int) -> None:
    provider.streams(*cut(STREAM, size))
    async with opened("anthropic") as house:
        got = await asked(house, stream=True, **CLAUDE_CODE)
    assert got == STREAM.replace(b'"model": "m-20260101"', b'"model": "fake/m"', 1)


async def test_a_passed_stream_of_any_other_client_is_as_it_came(opened: Open, provider: FakeProvider) -> None:
    provider.streams(STREAM)
    async with opened("anthropic") as house:
        assert await asked(house, stream=True) == STREAM


async def test_a_passed_answer_has_the_name_and_keeps_those_inside_it(opened: Open, provider: FakeProvider) -> None:
    provider.does(Behaviour([orjson.dumps(WHOLE)], headers={"content-type": "application/json"}, framing="length"))
    async with opened("anthropic") as house:
        got: Any = orjson.loads(await asked(house, stream=False, **CLAUDE_CODE))
    assert got == {**WHOLE, "model": "fake/m"}


@pytest.mark.parametrize(("headers", "name"), [(CLAUDE_CODE, "fake/m"), ({}, "fake-model")])
async def test_a_translated_answer_has_it_too(
    house: House, provider: FakeProvider, headers: dict[str, str], name: str
) -> None:
    provider.streams(*said({"content": "Hi"}))
    events = parsed(await asked(house, stream=True, **headers))
    assert events[0]["message"]["model"] == name
