"""A turn of a model, and what a request tells of the turns before it; the same on every wire."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha512
from typing import Any

Json = dict[str, Any]
SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
TOKENS = (900, 20)  # of a prompt, and of a turn


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool. text: the input of one that takes no JSON."""

    tool: str
    arguments: Json = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model thinks, calls and says in one answer."""

    thought: str = ""
    calls: tuple[Call, ...] = ()
    text: str = ""


@dataclass(slots=True)
class Heard:
    """A request, as its provider understands it.

    turns: the model's earlier turns that called tools. calls: their ids and names. seals: what the provider has signed or
    encrypted of its reasoning, in the order in which it came back. images: media type and base64 text.
    """

    tools: set[str] = field(default_factory=set)
    turns: int = 0
    calls: list[tuple[str, str]] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    seals: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)
    streamed: bool = True


def seal(provider: str, turn: int) -> str:
    """What a provider puts on its reasoning in this turn: opaque base64 with all of its signs, 344 characters."""
    digest = sha512(f"{provider} {turn}".encode()).digest()
    return b64encode(digest * 4).decode()


def call_id(turn: int, index: int) -> str:
    return f"call_{turn}_{index}"


def halves(text: str) -> Iterator[str]:
    """The text as a stream brings it."""
    middle = len(text) // 2
    yield from (piece for piece in (text[:middle], text[middle:]) if piece)


def data_url(url: str) -> tuple[str, str]:
    """Media type and base64 text of a `data:` URL. Raises ValueError for another."""
    head, comma, text = url.partition(";base64,")
    if not comma or not head.startswith("data:"):
        raise ValueError(f"This is no data: URL: {url[:80]}")
    return head.removeprefix("data:"), text
