"""OpenAI's Responses: reasoning is an item with a summary and encrypted content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from llmproxy.testing import Behaviour
from llmproxy.testing.conformance.provider_responses import SETTINGS

from .turn import JSON, SSE, TOKENS, Call, Heard, Json, Turn, call_id, data_url, halves, seal

_USAGE = {
    "input_tokens": TOKENS[0],
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": TOKENS[1],
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": sum(TOKENS),
}
_CALLS = ("function_call", "custom_tool_call")
_RESULTS = ("function_call_output", "custom_tool_call_output")


def hear(body: Json) -> Heard:
    heard = Heard(streamed=body.get("stream") is True)
    items = body["input"] if isinstance(body["input"], list) else []
    heard.tools = {*_names(body.get("tools") or ())}
    calling = False
    for item in items:
        kind = item.get("type", "message")
        heard.turns += kind in _CALLS and not calling
        calling = kind in _CALLS
        if kind == "reasoning":
            heard.seals.append(item["encrypted_content"])
            heard.thoughts.append("".join(part["text"] for part in item["summary"]))
        elif calling:
            heard.calls.append((item["call_id"], item["name"]))
        elif kind in _RESULTS:
            heard.results.append(" ".join(_read(item["output"], heard)))
        elif kind == "message":
            [*_read(item["content"], heard)]
        elif kind == "additional_tools":
            heard.tools |= {*_names(item["tools"])}
    return heard


def _names(tools: Any) -> Iterator[str]:
    for tool in tools:
        yield from _names(tool["tools"]) if tool["type"] == "namespace" else [tool.get("name", tool["type"])]


def _read(content: Any, heard: Heard) -> Iterator[str]:
    for part in content if isinstance(content, list) else [{"type": "input_text", "text": content or ""}]:
        if part["type"] == "input_image":
            heard.images.append(data_url(part["image_url"]))
        elif "text" in part:
            yield part["text"]


def say(turn: Turn, number: int, *, provider: str, streamed: bool) -> Behaviour:
    items = [*_items(turn, number, provider)]
    if not streamed:
        return Behaviour([orjson.dumps(_response(number, "completed", items))], headers=JSON, framing="length")
    events = [_event("created", number), _event("in_progress", number)]
    events += [event for at, item in enumerate(items) for event in _item_events(at, item)]
    events.append({"type": "response.completed", "response": _response(number, "completed", items)})
    return Behaviour([_frame(at, event) for at, event in enumerate(events)], headers=SSE)


def begin(text: str) -> list[bytes]:
    """The beginning of an answer, without an end."""
    item = _message(0, text)
    events = [_event("created", 0), _event("in_progress", 0), *[*_item_events(0, item)][:-3]]
    return [_frame(at, event) for at, event in enumerate(events)]


def _items(turn: Turn, number: int, provider: str) -> Iterator[Json]:
    if turn.thought:
        summary = [{"type": "summary_text", "text": turn.thought}]
        yield {
            "type": "reasoning",
            "id": f"rs_{number}",
            "summary": summary,
            "encrypted_content": seal(provider, number),
        }
    if turn.text:
        yield _message(number, turn.text)
    for at, call in enumerate(turn.calls):
        yield _call(number, at, call)


def _message(number: int, text: str) -> Json:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant", "content": [part]}


def _call(number: int, at: int, call: Call) -> Json:
    common = {"call_id": call_id(number, at), "name": call.tool, "status": "completed"}
    if call.text:
        return {"type": "custom_tool_call", "id": f"ctc_{number}_{at}", "input": call.text, **common}
    arguments = orjson.dumps(call.arguments).decode()
    return {"type": "function_call", "id": f"fc_{number}_{at}", "arguments": arguments, **common}


def _item_events(at: int, item: Json) -> Iterator[Json]:
    where = {"output_index": at, "item_id": item["id"]}
    match item["type"]:
        case "reasoning":
            yield _added(at, {**item, "summary": []})
            yield from _summary(item["summary"][0]["text"], where)
        case "message":
            yield _added(at, {**item, "status": "in_progress", "content": []})
            yield from _text(item["content"][0], where)
        case kind:
            (name, prefix) = (
                ("input", "custom_tool_call_input") if "input" in item else ("arguments", "function_call_arguments")
            )
            yield _added(at, {**item, "status": "in_progress", name: ""})
            yield from ({"type": f"response.{prefix}.delta", "delta": piece, **where} for piece in halves(item[name]))
            yield {"type": f"response.{prefix}.done", name: item[name], **where}
            assert kind in _CALLS
    yield {"type": "response.output_item.done", "output_index": at, "item": item}


def _added(at: int, item: Json) -> Json:
    return {"type": "response.output_item.added", "output_index": at, "item": item}


def _summary(text: str, where: Json) -> Iterator[Json]:
    place, part = {**where, "summary_index": 0}, {"type": "summary_text", "text": text}
    yield {"type": "response.reasoning_summary_part.added", "part": {**part, "text": ""}, **place}
    for piece in halves(text):
        yield {"type": "response.reasoning_summary_text.delta", "delta": piece, **place}
    yield {"type": "response.reasoning_summary_text.done", "text": text, **place}
    yield {"type": "response.reasoning_summary_part.done", "part": part, **place}


def _text(part: Json, where: Json) -> Iterator[Json]:
    place = {**where, "content_index": 0}
    yield {"type": "response.content_part.added", "part": {**part, "text": ""}, **place}
    for piece in halves(part["text"]):
        yield {"type": "response.output_text.delta", "delta": piece, "logprobs": [], **place}
    yield {"type": "response.output_text.done", "text": part["text"], "logprobs": [], **place}
    yield {"type": "response.content_part.done", "part": part, **place}


def _event(name: str, number: int) -> Json:
    return {"type": f"response.{name}", "response": _response(number, "in_progress", [])}


def _response(number: int, status: str, items: list[Json]) -> Json:
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1700000000,
        "status": status,
        "model": "m",
        "output": items,
        **SETTINGS,
        "usage": _USAGE if status == "completed" else None,
    }


def _frame(at: int, event: Json) -> bytes:
    data = orjson.dumps({**event, "sequence_number": at})
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), data)


def fail(status: int, message: str) -> Json:
    kind, code = (
        ("rate_limit_error", "rate_limit_exceeded") if status == 429 else ("server_error", "server_is_overloaded")
    )
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
