"""Providers of every kind that say the same: what each sends on its own wire for one story."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from llmproxy.core.chat import Chat
from llmproxy.core.trace import Trace
from llmproxy.dialects import find
from llmproxy.testing import Behaviour, Exchange, chunk, sse

Json = dict[str, Any]
SSE = {"content-type": "text/event-stream"}
USAGE = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}


@dataclass(frozen=True)
class Story:
    """What the model says."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, Json], ...] = ()
    hangs: bool = False  # after its text
    status: int = 200

    @property
    def finish(self) -> str:
        return "tool_calls" if self.calls else "stop"


def answer(story: Story, exchange: Exchange) -> Behaviour | None:
    """The answer on the wire of the path that was asked."""
    if exchange.method != "POST":
        return None
    path = exchange.path.partition("?")[0]
    if story.status != 200:
        return _failure(story.status, path)
    if path.endswith("/messages"):
        return _encoded(story, exchange, "messages")
    if path.endswith("/responses"):
        return _encoded(story, exchange, "responses")
    if "GenerateContent" in path or "generateContent" in path:
        return _gemini(story)
    return _chat(story)


def route(story: Story) -> Any:
    return partial(answer, story)


def _chunks(story: Story) -> list[Json]:
    deltas: list[Json] = []
    if story.reasoning:
        deltas.append({"reasoning_content": story.reasoning})
    deltas += _words(story.text)
    for index, (name, arguments) in enumerate(story.calls):
        function = {"name": name, "arguments": orjson.dumps(arguments).decode()}
        deltas.append(
            {"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]}
        )
    return [chunk(delta) for delta in deltas]


def _words(text: str) -> list[Json]:
    half = len(text) // 2
    return [{"content": piece} for piece in (text[:half], text[half:]) if piece]


def _chat(story: Story) -> Behaviour:
    frames = [sse(one, done=False) for one in _chunks(story)]
    if story.hangs:
        return Behaviour(frames, headers=SSE, ending="hang")
    return Behaviour([*frames, sse(chunk({}, finish=story.finish), chunk(None, usage=USAGE))], headers=SSE)


def _encoded(story: Story, exchange: Exchange, name: str) -> Behaviour:
    dialect = find(name)
    assert dialect is not None
    chat = dialect.as_chat(Chat(exchange.json, "m", trace=Trace("up", 1700000000)))
    assert chat.encoder is not None
    encoder = chat.encoder()
    frames = [frame for one in _chunks(story) for frame in encoder.feed(one)]
    if story.hangs:
        return Behaviour(frames, headers=SSE, ending="hang")
    for one in (chunk({}, finish=story.finish), chunk(None, usage=USAGE)):
        frames += encoder.feed(one)
    return Behaviour([*frames, *encoder.finish()], headers=SSE)


def _gemini(story: Story) -> Behaviour:
    parts: list[Json] = []
    if story.reasoning:
        parts.append({"text": story.reasoning, "thought": True})
    if story.text:
        parts.append({"text": story.text})
    parts += [{"functionCall": {"name": name, "args": arguments}} for name, arguments in story.calls]
    events: list[Json] = [_candidate([part]) for part in parts]
    if story.hangs:
        return Behaviour([_event(one) for one in events], headers=SSE, ending="hang")
    counts = {"promptTokenCount": 30, "candidatesTokenCount": 12, "totalTokenCount": 42}
    last = {**_candidate([{"text": ""}], finishReason="STOP"), "usageMetadata": counts}
    return Behaviour([_event(one) for one in (*events, last)], headers=SSE)


def _candidate(parts: list[Json], **more: Any) -> Json:
    return {"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, **more}], "modelVersion": "m"}


def _event(value: Json) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\r\n\r\n"


def _failure(status: int, path: str) -> Behaviour:
    body: Json = {"error": {"message": "The provider said no.", "type": "x", "code": None, "param": None}}
    if path.endswith("/messages"):
        body = {"type": "error", "error": {"type": "invalid_request_error", "message": "The provider said no."}}
    elif "enerateContent" in path:
        body = {"error": {"code": status, "message": "The provider said no.", "status": "INVALID_ARGUMENT"}}
    return Behaviour([orjson.dumps(body)], status, {"content-type": "application/json"}, framing="length")
