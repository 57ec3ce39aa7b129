"""Samples for the contract test: requests, the provider's replies, and what a client must get."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmproxy.core.adapter import Translator
from llmproxy.core.chat import Chat, Face, Json

from .answer import Answer, read
from .event_order import Violation
from .validate import check_chat, check_completion, check_stream

SECRET = "sk-contract-0123456789abcdef"  # use it as the account's API key: it must never appear in any output


@dataclass(frozen=True, slots=True)
class Sample:
    """A request, the bytes of the provider's reply, and what a client must get.

    tools: (name, arguments as parsed JSON). usage: (prompt, completion) tokens, None if the provider sends none.
    """

    name: str
    ask: Json
    reply: bytes = field(repr=False)
    text: str = ""
    reasoning: str = ""
    tools: Sequence[tuple[str, Any]] = ()
    finish: str = "stop"
    usage: tuple[int, int] | None = None
    cites: Sequence[str] = ()
    face: Face = "chat"

    @property
    def chat(self) -> Chat:
        return Chat(copy.deepcopy(self.ask), str(self.ask.get("model")), self.face)

    @property
    def streamed(self) -> bool:
        """Whether the reply is an event stream; it may be one although the client asked for none."""
        return b"data:" in self.reply


@dataclass(frozen=True, slots=True)
class Fault:
    """An error reply, and what it means. status_seen: the client's status, if it differs."""

    status: int
    body: bytes
    headers: Json = field(default_factory=dict)
    code: str | None = None
    message: str = ""
    retry_here: bool = False
    try_elsewhere: bool | None = None
    wait: float | None = None
    status_seen: int | None = None


def asks(text: str = "Hello", *, model: str = "a-model", **members: Any) -> Json:
    """The body of a chat request."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **members}


def drain(translator: Translator, pieces: Iterable[bytes]) -> bytes:
    return b"".join(all_frames(translator, pieces))


def all_frames(translator: Translator, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield from translator.feed(piece)
    yield from translator.finish()


def read_as(sample: Sample, out: bytes) -> Answer:
    return read(out, "text/event-stream" if sample.ask.get("stream") else "application/json")


def violations_of(sample: Sample, out: bytes) -> list[Violation]:
    completions = sample.face == "completions"
    if not sample.ask.get("stream"):
        return check_completion(out) if completions else check_chat(out)
    asked = bool((sample.ask.get("stream_options") or {}).get("include_usage"))
    return check_stream(out, include_usage=asked, usage=sample.usage is not None, completions=completions)


def without_invented_ids(answer: Answer, sample: Sample) -> Answer:
    """Removes IDs that the adapter made for calls without one: they are not compared."""
    for choice in answer.choices.values():
        for call in choice.tool_calls:
            if call.id.encode() not in sample.reply:
                call.id = "invented"
    return answer


def listed(found: list[Violation]) -> str:
    return "\n".join(map(str, found))
