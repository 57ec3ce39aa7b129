"""Thought signatures: what Gemini wants back with the tool calls of the past, and clients forget.

A client that keeps unknown members sends `extra_content.google.thought_signature` back by itself. Most do not, and
Gemini 3 refuses a turn without it; so the signatures of recent tool calls are also remembered by the call's id. This is
the one state that the adapter has. It is bounded, and losing it (a restart, another process) costs only the sentinel.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

MOST = 10_000  # signatures; of about 1 kB each


class Signatures:
    """The signatures of the tool calls that were last given to clients."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._by_id: OrderedDict[str, str] = OrderedDict()

    def put(self, id: str, signature: str) -> None:
        self._by_id[id] = signature
        self._by_id.move_to_end(id)
        if len(self._by_id) > self._most:
            self._by_id.popitem(last=False)

    def get(self, id: str) -> str | None:
        """The signature of a call; asking keeps it, as a conversation goes on."""
        if id in self._by_id:
            self._by_id.move_to_end(id)
        return self._by_id.get(id)


def signature_of(holder: Any) -> str | None:
    """What a client sends back: `extra_content.google.thought_signature`, or what Google's Vertex endpoint named it."""
    extra = holder.get("extra_content") if isinstance(holder, dict) else None
    for vendor in ("google", "vertex"):
        said = extra.get(vendor) if isinstance(extra, dict) else None
        signature = said.get("thought_signature") if isinstance(said, dict) else None
        if isinstance(signature, str) and signature:
            return signature
    return None
