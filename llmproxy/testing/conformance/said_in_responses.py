"""What a provider says, in OpenAI's Responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from .said import Count, Json, Part, Said, Text, Thought, halves

_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
Event = tuple[str, Json]


def responses_stream(said: Said) -> bytes:
    return b"".join(frame(name, number, members) for number, (name, members) in enumerate(_events(said)))


def frame(name: str, number: int, members: Json) -> bytes:
    data = orjson.dumps({"type": name, "sequence_number": number, **members})
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def responses_answer(said: Said) -> Json:
    return _response(said, [_item(index, part) for index, part in enumerate(said.parts)], _status(said))


def _status(said: Said) -> str:
    return "incomplete" if said.finish in _REASONS else "completed"


def _response(said: Said, output: list[Json], status: str) -> Json:
    ended = status != "in_progress"
    return {
        "id": "resp_fake",
        "object": "response",
        "created_at": 1700000000,
        "status": status,
        "model": "fake-model",
        "output": output,
        "error": None,
        "incomplete_details": {"reason": _REASONS[said.finish]} if status == "incomplete" else None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "store": False,
        "usage": _usage(said.count or Count(0, 0, 0, 0)) if ended else None,
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


def _events(said: Said) -> Iterator[Event]:
    begun = _response(said, [], "in_progress")
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, part in enumerate(said.parts):
        whole = _item(index, part)
        yield "response.output_item.added", {"output_index": index, "item": _blank(whole)}
        yield from _inside(part, {"item_id": whole["id"], "output_index": index}, whole)
        yield "response.output_item.done", {"output_index": index, "item": whole}
    done = responses_answer(said)
    yield f"response.{done['status']}", {"response": done}


def _blank(item: Json) -> Json:
    empty: dict[str, Any] = {"summary": [], "content": [], "arguments": ""}
    said = {name: empty.get(name, value) for name, value in item.items() if name != "encrypted_content"}
    return {**said, "status": "in_progress"} if "status" in said else said


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
