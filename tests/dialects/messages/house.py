"""A running gateway for Messages, and how its streams are judged: by Anthropic's own types, and by their order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import orjson
from anthropic import AsyncAnthropic
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from llmproxy.requests.registry import RequestRegistry
from tests.dialects.streams import Asked, Json, chat_stream, parsed

USAGE = {
    "prompt_tokens": 50,
    "completion_tokens": 20,
    "total_tokens": 70,
    "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
}
_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
_DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
}


def said(*deltas: Json, finish: str = "stop", usage: Any = USAGE) -> list[bytes]:
    """A chat provider's stream, one frame for each delta."""
    return chat_stream(*deltas, finish=finish, usage=usage)


@dataclass
class House(Asked):
    """A running gateway, a plain client to it, and Anthropic's."""

    sdk: AsyncAnthropic
    registry: RequestRegistry

    async def ask(self, **body: Any) -> Json:
        """The JSON answer, checked by Anthropic's own types."""
        asked = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], **body}
        status, answer = await self.call("POST", "/v1/messages", asked)
        assert status == 200, answer
        Message.model_validate(answer, strict=True)
        return dict(answer)

    async def stream(self, path: str = "/v1/messages", **body: Any) -> bytes:
        """The bytes of a whole stream."""
        asked = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], **body}
        return await self.streamed(path, {**asked, "stream": True})

    async def events(self, **body: Any) -> list[Json]:
        """The events of a stream, which are checked."""
        return checked(await self.stream(**body))


Open = Callable[..., AbstractAsyncContextManager[House]]


def checked(stream: bytes) -> list[Json]:
    """The events, if they are Anthropic's, to the letter of its types, and in the order that its clients rely on."""
    events = [event for event in parsed(stream) if event["type"] != "ping"]
    for event in events:
        _EVENT.validate_python(event)
    assert [event["type"] for event in events].count("message_start") == 1
    assert events[0]["type"] == "message_start"
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    assert isinstance(events[0]["message"]["usage"]["input_tokens"], int)
    assert isinstance(events[-2]["usage"]["output_tokens"], int)
    _check_blocks(events[1:-2])
    return events


def _check_blocks(events: list[Json]) -> None:
    """Blocks come one after the other, their deltas fit, and a signature is the last of its block."""
    following, open, signed = 0, "", False
    for event in events:
        assert event["index"] == following
        if event["type"] == "content_block_start":
            assert not open
            open, signed = event["content_block"]["type"], False
        elif event["type"] == "content_block_delta":
            assert event["delta"]["type"] in _DELTAS[open]
            assert not signed
            signed = event["delta"]["type"] == "signature_delta"
        else:
            assert event["type"] == "content_block_stop"
            assert open
            open, following = "", following + 1
    assert not open


def blocks(events: list[Json]) -> list[Json]:
    """The content that a stream comes to."""
    made: list[Json] = []
    for event in events:
        if event["type"] == "message_start":
            made += [dict(block) for block in event["message"]["content"]]
        elif event["type"] == "content_block_start":
            made.append(dict(event["content_block"]))
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            name = next(key for key in delta if key != "type")
            if name == "citation":
                made[-1]["citations"] = [*(made[-1].get("citations") or ()), delta[name]]
            elif name == "partial_json":
                made[-1]["json"] = made[-1].get("json", "") + delta[name]
            else:
                made[-1][name] = (made[-1].get(name) or "") + delta[name]
    for block in made:
        if "json" in block:
            block["input"] = orjson.loads(block.pop("json") or "{}")
    return made
