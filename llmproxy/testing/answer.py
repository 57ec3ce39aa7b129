"""Reads a chat completion, streamed or not, as a strict OpenAI client does: without repair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

Json = dict[str, Any]


@dataclass(slots=True)
class ToolCall:
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Choice:
    """One choice, its pieces joined."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)
    images: list[Json] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)
    finish: str | None = None
    extras: Json = field(default_factory=dict)  # other members of message or delta, and of the choice: the last value

    def add_call(self, index: int, piece: Json) -> None:
        while len(self.tool_calls) <= index:
            self.tool_calls.append(ToolCall())
        call, function = self.tool_calls[index], piece.get("function") or {}
        call.id = call.id or piece.get("id") or ""
        call.name = call.name or function.get("name") or ""
        call.arguments += function.get("arguments") or ""


@dataclass(slots=True)
class Answer:
    """A whole answer. error: the error object at its end, if any. done: whether a stream had `[DONE]`."""

    choices: dict[int, Choice] = field(default_factory=dict)
    usage: Json | None = None
    error: Json | None = None
    done: bool = False
    extras: Json = field(default_factory=dict)  # other members of the answer or its chunks: the last value

    @property
    def first(self) -> Choice:
        return self.choices.get(0) or Choice()

    def choice(self, index: int) -> Choice:
        return self.choices.setdefault(index, Choice())


_KNOWN = frozenset(("id", "object", "created", "model", "choices", "usage", "error"))
_READ = frozenset(("role", "content", "reasoning_content", "refusal", "tool_calls", "annotations", "images"))
_CHOICE = frozenset(("index", "delta", "message", "text", "logprobs", "finish_reason"))


def payloads(stream: bytes) -> Iterator[bytes]:
    """The data of each event of a stream; each event must have one data line."""
    for line in stream.split(b"\n"):
        if line.startswith(b"data: "):
            yield line[6:]


def read_stream(stream: bytes) -> Answer:
    """Reads a stream of chat or completion chunks."""
    answer = Answer()
    for payload in payloads(stream):
        if payload == b"[DONE]":
            answer.done = True
        else:
            _add(answer, orjson.loads(payload))
    return answer


def read_json(body: bytes) -> Answer:
    """Reads a chat.completion, a text_completion or an error object."""
    answer = Answer()
    _add(answer, orjson.loads(body))
    return answer


def read(body: bytes, content_type: str) -> Answer:
    return read_stream(body) if content_type.startswith("text/event-stream") else read_json(body)


def _add(answer: Answer, part: Json) -> None:
    if part.get("error"):
        answer.error = part["error"]
    answer.usage = part.get("usage") or answer.usage
    answer.extras.update((key, value) for key, value in part.items() if key not in _KNOWN and value is not None)
    for choice in part.get("choices") or ():
        _add_choice(answer.choice(choice.get("index", 0)), choice)


def _add_choice(kept: Choice, piece: Json) -> None:
    message = piece.get("delta") or piece.get("message") or {}
    kept.text += message.get("content") or piece.get("text") or ""
    kept.reasoning += message.get("reasoning_content") or ""
    kept.refusal += message.get("refusal") or ""
    kept.annotations += message.get("annotations") or []
    kept.images += message.get("images") or []
    kept.logprobs += _logprobs(piece.get("logprobs"))
    for position, call in enumerate(message.get("tool_calls") or ()):
        kept.add_call(call.get("index", position), call)
    kept.finish = piece.get("finish_reason") or kept.finish
    kept.extras.update((key, value) for key, value in message.items() if key not in _READ and value is not None)
    kept.extras.update((key, value) for key, value in piece.items() if key not in _CHOICE and value is not None)


def _logprobs(value: Any) -> list[Json]:
    content = value.get("content") if isinstance(value, dict) else None
    return content if isinstance(content, list) else []
