"""What the mock provider says: bytes shaped like OpenAI's and Gemini's real answers, and the order that asks for them.

An order travels as words inside the first message (`bench paced n=150 rate=50 tag=7`), so it passes every gateway.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

STAMP = 19  # digits of a CLOCK_MONOTONIC time in ns, left-padded: every event of a dialect has the same length
_ORDER = re.compile(rb"bench (\w+)((?: \w+=\d+)*)")


@dataclass(frozen=True, slots=True)
class Order:
    """What one request asks of the mock. `mode` is a key of mock.MODES, `numbers` are its parameters."""

    mode: str
    numbers: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join(("bench", self.mode, *(f"{key}={value}" for key, value in self.numbers.items())))

    @classmethod
    def parse(cls, body: bytes) -> Order:
        """The order in a request's body; a body without one asks for a small JSON answer."""
        found = _ORDER.search(body)
        if found is None:
            return cls("json")
        pairs = (word.split(b"=") for word in found[2].split())
        return cls(found[1].decode(), {key.decode(): int(value) for key, value in pairs})

    @property
    def streams(self) -> bool:
        """Whether the client asks for a stream; `json=1` hangs without one."""
        return self.mode != "json" and "json" not in self.numbers


@dataclass(frozen=True, slots=True)
class Dialect:
    """The frames of one provider's stream: what comes first, the two sides of an event's text, and what ends it."""

    first: bytes
    before: bytes
    after: bytes
    last: bytes

    def event(self, text: bytes) -> bytes:
        return self.before + text + self.after


def _data(value: object, end: bytes = b"\n\n") -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + end


def _split(event: bytes) -> tuple[bytes, bytes]:
    before, _, after = event.partition(b"TEXT")
    return before, after


def _openai(usage: bool) -> Dialect:
    """OpenAI's chunks; with include_usage each says `"usage":null` and one more at the end has the numbers."""

    def chunk(choices: list[object], tokens: object = None) -> bytes:
        shown = {"usage": tokens} if usage else {}
        return _data({**head, "choices": choices, **shown, "obfuscation": "bZuWwpMP9xQ2"})

    def choice(delta: object, finish: str | None = None) -> list[object]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    head = {
        "id": "chatcmpl-C6bjxzOr3Oz1rTiafksd6himIit3q",
        "object": "chat.completion.chunk",
        "created": 1755691077,
        "model": "mock",
        "service_tier": "default",
        "system_fingerprint": "fp_560af6e559",
    }
    before, after = _split(chunk(choice({"content": "TEXT"})))
    counted = chunk([], USAGE) if usage else b""
    first = chunk(choice({"role": "assistant", "content": "", "refusal": None}))
    return Dialect(first, before, after, chunk(choice({}, "stop")) + counted + b"data: [DONE]\n\n")


def _gemini() -> Dialect:
    def event(text: str, finish: dict[str, str]) -> bytes:
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, **finish, "index": 0}
        details = [{"modality": "TEXT", "tokenCount": 12}]
        counts = {
            "promptTokenCount": 12,
            "candidatesTokenCount": 19,
            "totalTokenCount": 31,
            "promptTokensDetails": details,
        }
        whole = {
            "candidates": [candidate],
            "usageMetadata": counts,
            "modelVersion": "gemini-2.5-flash",
            "responseId": "zbYQadDaGu",
        }
        return _data(whole, b"\r\n\r\n")

    before, after = _split(event("TEXT", {}))
    return Dialect(b"", before, after, event("", {"finishReason": "STOP"}))


USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 19,
    "total_tokens": 31,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
OPENAI = _openai(usage=False)
OPENAI_USAGE = _openai(usage=True)
GEMINI = _gemini()


def answer(received: int) -> bytes:
    """A small chat.completion that says how many bytes the request had."""
    message: object = {"role": "assistant", "content": f"received {received:09d}", "refusal": None, "annotations": []}
    head = {
        "id": "chatcmpl-C6bjxzOr3Oz1rTiafksd6himIit3q",
        "object": "chat.completion",
        "created": 1755691077,
        "model": "mock",
    }
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    whole = {
        **head,
        "choices": choices,
        "usage": USAGE,
        "service_tier": "default",
        "system_fingerprint": "fp_560af6e559",
    }
    return json.dumps(whole, separators=(",", ":")).encode()


def chunked(data: bytes) -> bytes:
    """One chunk of HTTP/1.1's chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)
