"""A provider of every dialect, with a bill: one answer on each wire, written by hand, with a usage as that provider counts it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from llmproxy.testing import Behaviour, chunk, sse
from llmproxy.testing.connection import Exchange

Json = dict[str, Any]
SSE, JSON = {"content-type": "text/event-stream"}, {"content-type": "application/json"}
WORDS = "tok " * 4


@dataclass
class Line:
    """What was counted of one call: all that went in, how much of it came from a cache, and all that came out. told: whole."""

    tokens_in: int = 0
    cached: int = 0
    tokens_out: int = 0
    reasoning: int = 0
    told: bool = False


@dataclass
class Ledger:
    """Answers in every way there is, and keeps a bill by the id that it gives each call. fate: chances of what goes wrong."""

    dice: random.Random
    failing: float = 0.12
    cutting: float = 0.15
    slow: float = 0.1
    bill: dict[str, Line] = field(default_factory=dict)

    def __call__(self, asked: Exchange) -> Behaviour | None:
        if asked.method != "POST":
            return None
        wire: Any = next((one for end, one in _WIRES.items() if end in asked.path), _Chat)()
        id = f"call-{len(self.bill):05d}"
        names = {"request-id" if isinstance(wire, _Messages) else "x-request-id": id}
        fate, line = self.dice.random(), Line()
        self.bill[id] = line
        if fate < self.failing:
            body = wire.failure(self.dice.choice([400, 429, 500, 503]))
            return Behaviour([orjson.dumps(body[1])], body[0], {**JSON, **names}, framing="length")
        line.tokens_in, line.tokens_out = self.dice.randrange(9, 500), self.dice.randrange(8, 200)
        line.cached, line.reasoning = line.tokens_in // 3, line.tokens_out // 4
        delay = 0.12 if self.dice.random() < self.slow else 0.0
        if not (asked.json.get("stream") or "stream" in asked.path):
            line.told = True
            return Behaviour([orjson.dumps(wire.whole(line))], 200, {**JSON, **names}, framing="length", delay=delay)
        tool = bool(asked.json.get("tools")) and self.dice.random() < 0.5
        frames = list(wire.start(line)) + list(wire.said(line.tokens_out // 4, tool=tool))
        headers = {**SSE, **names}
        if self.dice.random() < self.cutting:
            return Behaviour(frames, headers=headers, ending=self.dice.choice(["fin", "rst"]), every=0.001, delay=delay)
        line.told = True
        return Behaviour([*frames, *wire.end(line, tool=tool)], headers=headers, every=0.001, delay=delay)


class _Chat:
    """Cached and reasoning tokens are parts of the others."""

    def usage(self, line: Line) -> Json:
        return {
            "prompt_tokens": line.tokens_in, "completion_tokens": line.tokens_out,
            "total_tokens": line.tokens_in + line.tokens_out, "prompt_tokens_details": {"cached_tokens": line.cached},
            "completion_tokens_details": {"reasoning_tokens": line.reasoning},
        }  # fmt: skip

    def failure(self, status: int) -> tuple[int, Json]:
        return status, {"error": {"message": "No.", "type": "x", "code": None, "param": None}}

    def whole(self, line: Line) -> Json:
        message = {"role": "assistant", "content": "Hello"}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": self.usage(line),
        }

    def start(self, line: Line) -> Iterator[bytes]:
        yield sse(chunk({"role": "assistant", "content": ""}), done=False)

    def said(self, count: int, *, tool: bool) -> Iterator[bytes]:
        if tool:
            call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
            yield sse(chunk({"tool_calls": [call]}), done=False)
        for _ in range(count):
            more = {"tool_calls": [{"index": 0, "function": {"arguments": WORDS}}]} if tool else {"content": WORDS}
            yield sse(chunk(more), done=False)

    def end(self, line: Line, *, tool: bool) -> Iterator[bytes]:
        finish = chunk({}, finish="tool_calls" if tool else "stop")
        yield sse(finish, {**chunk({}), "choices": [], "usage": self.usage(line)})


class _Messages:
    """What is read from the cache stands beside the input; the last event counts the output, reasoning inside."""

    def usage(self, line: Line, out: int) -> Json:
        plain = line.tokens_in - line.cached
        return {
            "input_tokens": plain,
            "cache_read_input_tokens": line.cached,
            "cache_creation_input_tokens": 0,
            "output_tokens": out,
        }

    def failure(self, status: int) -> tuple[int, Json]:
        return status, {"type": "error", "error": {"type": "invalid_request_error", "message": "No."}}

    def message(self, line: Line, content: list[Json], stop: str | None, out: int) -> Json:
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": stop,
            "stop_sequence": None, "usage": self.usage(line, out),
        }  # fmt: skip

    def whole(self, line: Line) -> Json:
        return self.message(line, [{"type": "text", "text": "Hello"}], "end_turn", line.tokens_out)

    def start(self, line: Line) -> Iterator[bytes]:
        yield _named({"type": "message_start", "message": self.message(line, [], None, 1)})

    def said(self, count: int, *, tool: bool) -> Iterator[bytes]:
        call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
        block = call if tool else {"type": "text", "text": ""}
        yield _named({"type": "content_block_start", "index": 0, "content_block": block})
        delta = {"type": "input_json_delta", "partial_json": WORDS} if tool else {"type": "text_delta", "text": WORDS}
        for _ in range(count):
            yield _named({"type": "content_block_delta", "index": 0, "delta": delta})

    def end(self, line: Line, *, tool: bool) -> Iterator[bytes]:
        yield _named({"type": "content_block_stop", "index": 0})
        stop = {"stop_reason": "tool_use" if tool else "end_turn", "stop_sequence": None}
        yield _named({"type": "message_delta", "delta": stop, "usage": {"output_tokens": line.tokens_out}})
        yield _named({"type": "message_stop"})


class _Responses:
    def response(self, line: Line, status: str, output: list[Json]) -> Json:
        usage = {
            "input_tokens": line.tokens_in, "input_tokens_details": {"cached_tokens": line.cached},
            "output_tokens": line.tokens_out, "output_tokens_details": {"reasoning_tokens": line.reasoning},
            "total_tokens": line.tokens_in + line.tokens_out,
        }  # fmt: skip
        return {
            "id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": None, "model": "m", "output": output,
            "incomplete_details": None, "instructions": None, "metadata": {}, "parallel_tool_calls": True, "tools": [],
            "tool_choice": "auto", "temperature": 1.0, "top_p": 1.0, "usage": usage if status == "completed" else None,
        }  # fmt: skip

    def failure(self, status: int) -> tuple[int, Json]:
        return _Chat().failure(status)

    def item(self, text: str) -> Json:
        part = {"type": "output_text", "text": text, "annotations": []}
        return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}

    def whole(self, line: Line) -> Json:
        return self.response(line, "completed", [self.item("Hello")])

    def start(self, line: Line) -> Iterator[bytes]:
        self.number = 0
        yield self._event("response.created", response=self.response(line, "in_progress", []))
        blank = {**self.item(""), "status": "in_progress", "content": []}
        yield self._event("response.output_item.added", output_index=0, item=blank)
        part = {"type": "output_text", "text": "", "annotations": []}
        yield self._event("response.content_part.added", item_id="msg_1", output_index=0, content_index=0, part=part)

    def said(self, count: int, *, tool: bool) -> Iterator[bytes]:
        self.text = WORDS * count
        place: Json = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        for _ in range(count):
            yield self._event("response.output_text.delta", **place, delta=WORDS, logprobs=[])

    def end(self, line: Line, *, tool: bool) -> Iterator[bytes]:
        place: Json = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        part = {"type": "output_text", "text": self.text, "annotations": []}
        yield self._event("response.output_text.done", **place, text=self.text, logprobs=[])
        yield self._event("response.content_part.done", **place, part=part)
        yield self._event("response.output_item.done", output_index=0, item=self.item(self.text))
        yield self._event("response.completed", response=self.response(line, "completed", [self.item(self.text)]))

    def _event(self, type: str, **members: Any) -> bytes:
        self.number += 1
        return _named({"type": type, "sequence_number": self.number - 1, **members})


class _Gemini:
    """Thoughts stand beside the answer; cached tokens are a part of the prompt."""

    def event(self, text: str, **more: Any) -> Json:
        candidate = more.pop("candidate", {})
        content = {"role": "model", "parts": [{"text": text}]}
        return {"candidates": [{"index": 0, "content": content, **candidate}], "modelVersion": "m", **more}

    def usage(self, line: Line) -> Json:
        return {
            "promptTokenCount": line.tokens_in, "cachedContentTokenCount": line.cached,
            "candidatesTokenCount": line.tokens_out - line.reasoning, "thoughtsTokenCount": line.reasoning,
            "totalTokenCount": line.tokens_in + line.tokens_out,
        }  # fmt: skip

    def failure(self, status: int) -> tuple[int, Json]:
        return status, {"error": {"code": status, "message": "No.", "status": "INTERNAL"}}

    def whole(self, line: Line) -> Json:
        return self.event("Hello", candidate={"finishReason": "STOP"}, usageMetadata=self.usage(line))

    def start(self, line: Line) -> Iterator[bytes]:
        return iter(())

    def said(self, count: int, *, tool: bool) -> Iterator[bytes]:
        for _ in range(count):
            yield _data(self.event(WORDS))

    def end(self, line: Line, *, tool: bool) -> Iterator[bytes]:
        yield _data(self.event("", candidate={"finishReason": "STOP"}, usageMetadata=self.usage(line)))


_WIRES = {"/messages": _Messages, "/responses": _Responses, "enerateContent": _Gemini}


def _named(event: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))


def _data(event: Json) -> bytes:
    return b"data: %b\r\n\r\n" % orjson.dumps(event)
