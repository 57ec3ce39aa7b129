"""Block events: one answer as a sequence of blocks (text, reasoning, calls). All encoders except that of chat completions use them.

Begun comes first and once. Indexes are 0, 1, 2, ... without a gap; at most one block is open; every Opened has one Closed,
which carries the signature; no Grew comes after Closed; the arguments of a call are complete JSON at Closed, unless the answer
was cut by its limit. Counted is cumulative. Finished comes once, after the last Closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmproxy.core.chat import Json

Kind = Literal["text", "refusal", "reasoning", "tool_call", "custom_tool_call", "image", "audio", "opaque"]
CALLS = frozenset(("tool_call", "custom_tool_call"))


@dataclass(slots=True)
class Begun:
    """The answer begins. `usage` is what the provider sent at the start, or empty."""

    id: str
    model: str
    usage: Json


@dataclass(slots=True)
class Opened:
    """A block begins. meta: data about it besides ID and name (`item`, `part`, `block`, `call_id`)."""

    index: int
    kind: Kind
    id: str
    name: str
    meta: Json


@dataclass(slots=True)
class Grew:
    """More content of the open block. `field`: text, arguments, summary or data."""

    index: int
    field: str
    piece: str


@dataclass(slots=True)
class Noted:
    """Other data of the open block: `annotations`, `logprobs`, or the members of a mark's note."""

    index: int
    note: Json


@dataclass(slots=True)
class Closed:
    """The open block ends. seal: those of `signature`, `data`, `details`, `extra_content`, `image`, `item` that are known."""

    index: int
    seal: Json


@dataclass(slots=True)
class Counted:
    """OpenAI's usage object so far."""

    usage: Json


@dataclass(slots=True)
class Finished:
    """OpenAI's finish reason, the provider's own one if known, and data about the whole answer."""

    reason: str
    native: str | None
    message: Json


BlockEvent = Begun | Opened | Grew | Noted | Closed | Counted | Finished
