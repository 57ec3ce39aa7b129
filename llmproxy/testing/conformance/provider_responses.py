"""Encodes a scripted reply in OpenAI's Responses API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from .scripted_reply import Count, Json, Part, ScriptedReply, Text, Thought, halves

_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
Event = tuple[str, Json]


def responses_stream(reply: ScriptedReply) -> bytes:
    return b"".join(frame(name, number, members) for number, (name, members) in enumerate(_events(reply)))


def frame(name: str, number: int, members: Json) -> bytes:
    data = orjson.dumps({"type": name, "sequence_number": number, **members})
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def responses_answer(reply: ScriptedReply) -> Json:
    return _response(reply, [_item(index, part) for index, part in enumerate(reply.parts)], _status(reply))


def _status(reply: ScriptedReply) -> str:
    return "incomplete" if reply.finish in _REASONS else "completed"


# Members of a response that repeat the request's settings, with OpenAI's defaults.
SETTINGS: Json = {
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
}


def _response(reply: ScriptedReply, output: list[Json], status: str) -> Json:
    ended = status != "in_progress"
    return {
        "id": "resp_fake",
        "object": "response",
        "created_at": 1700000000,
        "status": status,
        "model": "fake-model",
        "output": output,
        **SETTINGS,
        "incomplete_details": {"reason": _REASONS[reply.finish]} if status == "incomplete" else None,
        "store": False,
        "usage": _usage(reply.count or Count(0, 0, 0, 0)) if ended else None,
    }


def _usage(count: Count) -> Json:
    return {
        "input_tokens": count.prompt,
        "input_tokens_details": {"cached_tokens": count.cached},
        "output_tokens": count.completion,
        "output_tokens_details": {"reasoning_tokens": count.reasoning},
        "total_tokens": count.prompt + count.completion,
    }


def _item(index: int, part: Part) -> Json:
    if isinstance(part, Thought):
        state = {"encrypted_content": part.state} if part.state else {}
        return {"type": "reasoning", "id": f"rs_{index}", "summary": [_summary(part.text)], **state}
    if isinstance(part, Text):
        content = [_text(part)]
        return {"type": "message", "id": f"msg_{index}", "role": "assistant", "status": "completed", "content": content}
    return {
        "type": "function_call",
        "id": f"fc_{index}",
        "call_id": part.id,
        "name": part.name,
        "arguments": part.arguments or "{}",
        "status": "completed",
    }


def _summary(text: str) -> Json:
    return {"type": "summary_text", "text": text}


def _text(part: Text) -> Json:
    cited = [
        {"type": "url_citation", "title": title, "url": url, "start_index": 0, "end_index": 5}
        for title, url in part.sources
    ]
    return {"type": "output_text", "text": part.text, "annotations": cited, "logprobs": []}


def _events(reply: ScriptedReply) -> Iterator[Event]:
    begun = _response(reply, [], "in_progress")
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, part in enumerate(reply.parts):
        whole = _item(index, part)
        yield "response.output_item.added", {"output_index": index, "item": _blank(whole)}
        yield from _inside(part, {"item_id": whole["id"], "output_index": index}, whole)
        yield "response.output_item.done", {"output_index": index, "item": whole}
    done = responses_answer(reply)
    yield f"response.{done['status']}", {"response": done}


def _blank(item: Json) -> Json:
    empty: dict[str, Any] = {"summary": [], "content": [], "arguments": ""}
    reply = {name: empty.get(name, value) for name, value in item.items() if name != "encrypted_content"}
    return {**reply, "status": "in_progress"} if "status" in reply else reply


def _inside(part: Part, at: Json, whole: Json) -> Iterator[Event]:
    if isinstance(part, Thought):
        at = {**at, "summary_index": 0}
        yield "response.reasoning_summary_part.added", {**at, "part": _summary("")}
        for piece in halves(part.text):
            yield "response.reasoning_summary_text.delta", {**at, "delta": piece}
        yield "response.reasoning_summary_text.done", {**at, "text": part.text}
        yield "response.reasoning_summary_part.done", {**at, "part": _summary(part.text)}
    elif isinstance(part, Text):
        at = {**at, "content_index": 0}
        yield "response.content_part.added", {**at, "part": _text(Text(""))}
        for piece in halves(part.text):
            yield "response.output_text.delta", {**at, "delta": piece, "logprobs": []}
        yield "response.output_text.done", {**at, "text": part.text, "logprobs": []}
        yield "response.content_part.done", {**at, "part": _text(part)}
    else:
        for piece in halves(whole["arguments"]):
            yield "response.function_call_arguments.delta", {**at, "delta": piece}
        yield "response.function_call_arguments.done", {**at, "arguments": whole["arguments"]}
