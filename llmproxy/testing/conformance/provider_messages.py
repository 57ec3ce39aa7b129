"""Encodes a scripted reply in Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from .scripted_reply import Call, Count, Json, Part, ScriptedReply, Text, Thought, halves

_STOPS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}


def messages_stream(reply: ScriptedReply) -> bytes:
    return b"".join(named(event) for event in _events(reply))


def named(event: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))


def messages_answer(reply: ScriptedReply) -> Json:
    content = [_whole(part) for part in reply.parts]
    return {**_message(reply), "content": content, "stop_reason": _STOPS[reply.reason], "usage": _usage(reply.count)}


def _message(reply: ScriptedReply) -> Json:
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": "fake-model",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**_usage(reply.count), "output_tokens": 1},
    }


def _usage(count: Count | None) -> Json:
    """Messages always has usage; tokens read from the cache are not part of `input_tokens`."""
    count = count or Count(0, 0, 0, 0)
    return {
        "input_tokens": count.prompt - count.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": count.cached,
        "output_tokens": count.completion,
    }


def _whole(part: Part) -> Json:
    if isinstance(part, Thought):
        return {"type": "thinking", "thinking": part.text, "signature": part.state}
    if isinstance(part, Text):
        cited = {"citations": [_citation(*source) for source in part.sources]} if part.sources else {}
        return {"type": "text", "text": part.text, **cited}
    return {"type": "tool_use", "id": part.id, "name": part.name, "input": orjson.loads(part.arguments or "{}")}


def _blank(part: Part) -> Json:
    if isinstance(part, Thought):
        return {"type": "thinking", "thinking": "", "signature": ""}
    if isinstance(part, Text):
        return {"type": "text", "text": ""}
    return {**_whole(Call(part.id, part.name, "")), "input": {}}


def _deltas(part: Part) -> Iterator[Json]:
    if isinstance(part, Thought):
        yield from ({"type": "thinking_delta", "thinking": piece} for piece in halves(part.text))
        if part.state:
            yield {"type": "signature_delta", "signature": part.state}
    elif isinstance(part, Text):
        yield from ({"type": "text_delta", "text": piece} for piece in halves(part.text))
        yield from ({"type": "citations_delta", "citation": _citation(*source)} for source in part.sources)
    else:
        yield from ({"type": "input_json_delta", "partial_json": piece} for piece in halves(part.arguments))


def _citation(title: str, url: str) -> Json:
    return {
        "type": "web_search_result_location",
        "url": url,
        "title": title,
        "cited_text": "",
        "encrypted_index": "",
    }


def _events(reply: ScriptedReply) -> Iterator[Json]:
    yield {"type": "message_start", "message": _message(reply)}
    for index, part in enumerate(reply.parts):
        yield {"type": "content_block_start", "index": index, "content_block": _blank(part)}
        for delta in _deltas(part):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stopped = {"stop_reason": _STOPS[reply.reason], "stop_sequence": None}
    yield {"type": "message_delta", "delta": stopped, "usage": _usage(reply.count)}
    yield {"type": "message_stop"}
