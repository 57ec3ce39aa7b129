"""A built-in deterministic model, to try every kind of answer without an API key.

The answer of `hello` depends on the question; each other model always gives one kind of answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import ClassVar

from llmproxy.adapter_kit import (
    DONE,
    Account,
    BadRequest,
    Chat,
    Environment,
    Json,
    Model,
    Outgoing,
    Relay,
    Translator,
    UpstreamError,
    frame,
)

from .demo_faults import FAULTS, after, before
from .demo_texts import LONG, MARKDOWN, PARAGRAPH, THOUGHTS

_PIECE = re.compile(r"\s*\S+|\s+")
_NAMES = ("hello", "reasoning", "tools", "markdown", "long", "slow", "error", *FAULTS)
_TOPICS: Mapping[str, re.Pattern[str]] = {
    "error": re.compile(r"\b(?:error|fail)\b", re.I),
    "markdown": re.compile(r"\b(?:markdown|table|code|list|format)\b", re.I),
    "reasoning": re.compile(r"\b(?:think|reason|why)\b", re.I),
    "long": re.compile(r"\b(?:long|essay|story)\b", re.I),
}


class Demo:
    environment: ClassVar[Environment] = Environment(needs_key=False)
    speaks = frozenset(("chat",))
    many = True
    first_frame = 60.0
    known_models: Sequence[Model] = tuple(
        Model(
            name,
            0,
            "llmproxy",
            {"context_length": 8192, "tools": True, "reasoning": name == "reasoning", "input": ["text", "image"]},
        )
        for name in _NAMES
    )

    def __init__(self, account: Account) -> None:
        self.account = account
        rate = account.options.get("tokens_per_second", 40)
        self._rate = float(rate) if isinstance(rate, (int, float)) and rate > 0 else 40.0

    def request(self, chat: Chat) -> Outgoing:
        raise BadRequest("The demo model lives in this process; there is nowhere to send a request.")

    def translator(self, chat: Chat) -> Translator:
        return Relay(chat)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return UpstreamError(f"The demo failed with {status}.", status=status)

    async def answer(self, chat: Chat) -> AsyncGenerator[bytes, None]:
        """The stream that a provider would send, at reading speed. Raises UpstreamError for an unknown model and for faults."""
        if chat.model not in _NAMES:
            text = f"The demo has no model {chat.model!r}. It has {', '.join(sorted(_NAMES))}."
            raise UpstreamError(text, status=404, code="model_not_found", param="model")
        kind = _kind(chat)
        if kind == "error":
            raise UpstreamError("The demo model fails on request.", status=503, code="demo_error", retry_here=False)
        pause = 1 / self._rate * (5 if kind == "slow" else 1)
        await before(kind, chat, pause)
        tokens = 0
        limit = _limit(chat)
        for delta in _deltas(kind, chat):
            text = next((value for value in delta.values() if isinstance(value, str)), "")
            tokens += bool(text)
            if tokens > limit:
                yield frame(_chunk(chat, {}, "length"))
                break
            yield frame(_chunk(chat, delta))
            await asyncio.sleep(pause)
            await after(kind, tokens, pause)
        else:
            yield frame(_chunk(chat, {}, "tool_calls" if kind == "tools" else "stop"))
        prompt = sum(len(_PIECE.findall(_text(message))) for message in chat.messages)
        made = min(tokens, limit)
        usage = {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}
        yield frame({**_chunk(chat, {}), "choices": [], "usage": usage}) + DONE


def _chunk(chat: Chat, delta: Json, finish: str | None = None) -> Json:
    return {
        "id": f"chatcmpl-demo-{chat.trace.id}",
        "object": "chat.completion.chunk",
        "created": chat.trace.created,
        "model": f"demo-{chat.model}",
        "choices": [{"index": i, "delta": delta, "finish_reason": finish} for i in range(_choices(chat))],
    }


def _choices(chat: Chat) -> int:
    wanted = chat.body.get("n")
    return wanted if isinstance(wanted, int) and 1 <= wanted <= 8 else 1


def _limit(chat: Chat) -> int:
    wanted = chat.body.get("max_completion_tokens") or chat.body.get("max_tokens")
    return wanted if isinstance(wanted, int) and wanted > 0 else 100_000


def _kind(chat: Chat) -> str:
    """The kind of answer: by the model's name, or for `hello` by the last question."""
    if chat.model != "hello":
        return chat.model
    last = chat.messages[-1] if chat.messages else {}
    if chat.body.get("tools") and last.get("role") == "user" and chat.body.get("tool_choice") != "none":
        return "tools"
    question = _text(last)
    return next((kind for kind, topic in _TOPICS.items() if topic.search(question)), "hello")


def _deltas(kind: str, chat: Chat) -> Iterator[Json]:
    yield {"role": "assistant", "content": ""}
    yield from _KINDS.get(kind, _hello)(chat)


def _pieces(text: str, key: str = "content") -> Iterator[Json]:
    return ({key: piece} for piece in _PIECE.findall(text))


def _hello(chat: Chat) -> Iterator[Json]:
    question = _text(next((m for m in reversed(chat.messages) if m.get("role") == "user"), {})).strip()
    quoted = f" You said: “{question[:200]}”." if question else ""
    results = [_text(m) for m in chat.messages if m.get("role") == "tool"]
    result = f" The tool answered: {results[-1][:200]}." if results else ""
    return _pieces(f"Hello! I am the demo model of llmproxy; no provider was asked.{quoted}{result} {PARAGRAPH}")


def _reasoning(chat: Chat) -> Iterator[Json]:
    yield from _pieces(THOUGHTS, "reasoning_content")
    yield from _hello(chat)


def _tools(chat: Chat) -> Iterator[Json]:
    """Calls every function it was offered (two at most), with arguments made from their schemas."""
    offered = [
        one["function"]
        for one in chat.body.get("tools") or ()
        if isinstance(one, dict) and isinstance(one.get("function"), dict)
    ]
    if not offered:
        yield from _pieces("I would call a tool, but none was offered with the request.")
    for index, function in enumerate(offered[:2]):
        call = {
            "index": index,
            "id": f"call_demo_{index}",
            "type": "function",
            "function": {"name": function.get("name", ""), "arguments": ""},
        }
        yield {"tool_calls": [call]}
        for piece in _PIECE.findall(_arguments(function.get("parameters") or {})):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _arguments(schema: Json) -> str:
    pairs = [
        f'"{name}": {_sample(one)}' for name, one in (schema.get("properties") or {}).items() if isinstance(one, dict)
    ]
    return "{" + ", ".join(pairs) + "}"


def _sample(schema: Json) -> str:
    if schema.get("enum"):
        return f'"{schema["enum"][0]}"'
    return {"integer": "1", "number": "1.5", "boolean": "true", "array": "[]", "object": "{}"}.get(
        str(schema.get("type")), '"demo"'
    )


_KINDS: Mapping[str, Callable[[Chat], Iterator[Json]]] = {
    "reasoning": _reasoning,
    "tools": _tools,
    "markdown": lambda chat: _pieces(MARKDOWN),
    "long": lambda chat: _pieces(LONG),
}


def _text(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
