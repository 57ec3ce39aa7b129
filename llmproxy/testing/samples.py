"""Small OpenAI-shaped answers for tests to send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


def as_bytes(body: object) -> bytes:
    return body if isinstance(body, bytes) else orjson.dumps(body)


def failure(status: int, message: str = "scripted failure") -> dict[str, Any]:
    """An error body in OpenAI's form."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def sse(*chunks: object, done: bool = True) -> bytes:
    """Chunks as an event stream: objects as JSON, bytes unchanged."""
    frames = [chunk if isinstance(chunk, bytes) else b"data: %b\n\n" % orjson.dumps(chunk) for chunk in chunks]
    return b"".join(frames) + (b"data: [DONE]\n\n" if done else b"")


def chunk(
    delta: Mapping[str, Any] | None = None, *, finish: str | None = None, index: int = 0, **members: Any
) -> dict[str, Any]:
    """One chat.completion.chunk with one choice; without choices if `delta` is None."""
    head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1700000000, "model": "fake-model"}
    choice = {"index": index, "delta": dict(delta or {}), "logprobs": None, "finish_reason": finish}
    return {**head, "choices": [] if delta is None else [choice], **members}


def completion(text: str = "Hello", **members: Any) -> dict[str, Any]:
    """A chat.completion with one choice."""
    message = {"role": "assistant", "content": text, "refusal": None}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    head = {"id": "chatcmpl-fake", "object": "chat.completion", "created": 1700000000, "model": "fake-model"}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**head, "choices": [choice], "usage": usage, **members}
