"""A reply of the test provider, independent of the API; and its encoding as a chat completion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..samples import chunk, completion, sse

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Thought:
    """Reasoning. state: opaque data that the provider expects back."""

    text: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    sources: Sequence[tuple[str, str]] = ()  # (title, URL)


@dataclass(frozen=True, slots=True)
class Call:
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Count:
    prompt: int = 20
    cached: int = 8  # part of `prompt`
    completion: int = 9
    reasoning: int = 4  # part of `completion`


Part = Thought | Text | Call


@dataclass(frozen=True, slots=True)
class ScriptedReply:
    parts: Sequence[Part]
    finish: str = "stop"
    count: Count | None = field(default_factory=Count)

    @property
    def reason(self) -> str:
        """The finish_reason of OpenAI's chat completions."""
        called = any(isinstance(part, Call) for part in self.parts)
        return "tool_calls" if called and self.finish == "stop" else self.finish

    @property
    def calls(self) -> list[Call]:
        return [part for part in self.parts if isinstance(part, Call)]


def halves(text: str) -> Iterator[str]:
    """Two pieces; one if the text has one character."""
    middle = len(text) // 2
    yield from (piece for piece in (text[:middle], text[middle:]) if piece)


def chat_stream(reply: ScriptedReply) -> bytes:
    deltas = [{"role": "assistant", "content": ""}]
    index = 0
    for part in reply.parts:
        deltas += _deltas(part, index)
        index += isinstance(part, Call)
    counted = [] if reply.count is None else [chunk(usage=chat_usage(reply.count))]
    return sse(*map(chunk, deltas), chunk({}, finish=reply.reason), *counted)


def _deltas(part: Part, index: int) -> list[Any]:
    if isinstance(part, Thought):
        state = [{"reasoning_details": _details(part)}] if part.state else []
        return [*({"reasoning_content": piece} for piece in halves(part.text)), *state]
    if isinstance(part, Text):
        cited = [{"annotations": [_citation(*source) for source in part.sources]}] if part.sources else []
        return [*({"content": piece} for piece in halves(part.text)), *cited]
    begins = {"index": index, "id": part.id, "type": "function", "function": {"name": part.name, "arguments": ""}}
    pieces = [{"index": index, "function": {"arguments": piece}} for piece in halves(part.arguments)]
    return [{"tool_calls": [one]} for one in (begins, *pieces)]


def chat_answer(reply: ScriptedReply) -> Json:
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    for part in reply.parts:
        if isinstance(part, Text):
            message["content"] = (message["content"] or "") + part.text
            if part.sources:
                message["annotations"] = [_citation(*source) for source in part.sources]
        elif isinstance(part, Thought):
            message["reasoning_content"] = message.get("reasoning_content", "") + part.text
            if part.state:
                message["reasoning_details"] = _details(part)
        else:
            function = {"name": part.name, "arguments": part.arguments}
            message.setdefault("tool_calls", []).append({"id": part.id, "type": "function", "function": function})
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.reason}
    whole = completion(choices=[choice])
    del whole["usage"]
    return whole if reply.count is None else {**whole, "usage": chat_usage(reply.count)}


def _details(part: Thought) -> list[Json]:
    return [{"type": "reasoning.encrypted", "data": part.state, "format": "unknown", "index": 0}]


def _citation(title: str, url: str) -> Json:
    return {"type": "url_citation", "url_citation": {"title": title, "url": url, "start_index": 0, "end_index": 5}}


def chat_usage(count: Count) -> Json:
    return {
        "prompt_tokens": count.prompt,
        "completion_tokens": count.completion,
        "total_tokens": count.prompt + count.completion,
        "prompt_tokens_details": {"cached_tokens": count.cached},
        "completion_tokens_details": {"reasoning_tokens": count.reasoning},
    }
