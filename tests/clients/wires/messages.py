"""Anthropic's Messages: reasoning is a thinking block with a signature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from llmproxy.testing import Behaviour

from .turn import JSON, SSE, TOKENS, Call, Heard, Json, Turn, call_id, halves, seal

_HEAD = {"type": "message", "role": "assistant", "model": "m", "stop_sequence": None}


def hear(body: Json) -> Heard:
    heard = Heard(streamed=body.get("stream") is True)
    heard.tools = {tool["name"] for tool in body.get("tools") or () if "input_schema" in tool}
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else []
        heard.turns += any(block["type"] == "tool_use" for block in blocks)
        for block in blocks:
            _hear_block(block, heard)
    return heard


def _hear_block(block: Json, heard: Heard) -> None:
    match block["type"]:
        case "thinking":
            heard.seals.append(block["signature"])
            heard.thoughts.append(block["thinking"])
        case "tool_use":
            heard.calls.append((block["id"], block["name"]))
        case "tool_result":
            heard.results.append(" ".join(_result(block.get("content"), heard)))
        case "image":
            heard.images.append(_image(block))


def _result(content: Any, heard: Heard) -> Iterator[str]:
    for part in content if isinstance(content, list) else [{"type": "text", "text": content or ""}]:
        if part["type"] == "image":
            heard.images.append(_image(part))
        elif part["type"] == "text":
            yield part["text"]


def _image(block: Json) -> tuple[str, str]:
    source = block["source"]
    assert source["type"] == "base64", block
    return source["media_type"], source["data"]


def say(turn: Turn, number: int, *, provider: str, streamed: bool) -> Behaviour:
    blocks = [*_blocks(turn, number, provider)]
    stop = "tool_use" if turn.calls else "end_turn"
    usage = {"input_tokens": TOKENS[0], "output_tokens": TOKENS[1]}
    if not streamed:
        message = {**_HEAD, "id": f"msg_{number}", "content": blocks, "stop_reason": stop, "usage": usage}
        return Behaviour([orjson.dumps(message)], headers=JSON, framing="length")
    events = [_start(number), *(event for at, block in enumerate(blocks) for event in _events(at, block))]
    events.append({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage})
    return Behaviour([*map(_frame, events), _frame({"type": "message_stop"})], headers=SSE)


def begin(text: str) -> list[bytes]:
    """The beginning of an answer, without an end."""
    block = {"type": "text", "text": text}
    return [*map(_frame, [_start(0), *[*_events(0, block)][:-1]])]


def _blocks(turn: Turn, number: int, provider: str) -> Iterator[Json]:
    if turn.thought:
        yield {"type": "thinking", "thinking": turn.thought, "signature": seal(provider, number)}
    if turn.text:
        yield {"type": "text", "text": turn.text}
    for at, call in enumerate(turn.calls):
        yield {"type": "tool_use", "id": call_id(number, at), "name": call.tool, "input": _input(call)}


def _input(call: Call) -> Json:
    return {"input": call.text} if call.text else call.arguments


def _start(number: int) -> Json:
    usage = {"input_tokens": TOKENS[0], "output_tokens": 1}
    return {
        "type": "message_start",
        "message": {**_HEAD, "id": f"msg_{number}", "content": [], "stop_reason": None, "usage": usage},
    }


def _events(at: int, block: Json) -> Iterator[Json]:
    match block["type"]:
        case "thinking":
            empty: Json = {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in halves(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "text":
            empty = {"text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in halves(block["text"])]
        case _:
            empty = {"input": {}}
            pieces = halves(orjson.dumps(block["input"]).decode())
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    yield {"type": "content_block_start", "index": at, "content_block": {**block, **empty}}
    yield from ({"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas)
    yield {"type": "content_block_stop", "index": at}


def _frame(event: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))


def fail(status: int, message: str) -> Json:
    kind = "rate_limit_error" if status == 429 else "overloaded_error"
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
