"""Remembers thought signatures, which Gemini requires with earlier tool calls and most clients do not send back.

A client that keeps unknown members sends `extra_content.google.thought_signature` back. Most do not, and Gemini 3 refuses
a turn without it. So the signatures of recent tool calls are remembered by the call's ID. This is the only state of the
adapter. Its size is limited; if it is lost (a restart, another process), `LOST_SIGNATURE` is sent instead.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

MOST = 10_000  # signatures, of about 1 kB each


class Signatures:
    """The signatures of the most recent tool calls, by call ID."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._by_id: OrderedDict[str, str] = OrderedDict()

    def put(self, id: str, signature: str) -> None:
        self._by_id[id] = signature
        self._by_id.move_to_end(id)
        if len(self._by_id) > self._most:
            self._by_id.popitem(last=False)

    def get(self, id: str) -> str | None:
        """The signature of a call, which then counts as recently used; None if unknown."""
        if id in self._by_id:
            self._by_id.move_to_end(id)
        return self._by_id.get(id)

    def forget(self, id: str) -> bool:
        """Removes the signature of a call; returns whether there was one."""
        return self._by_id.pop(id, None) is not None


def signature_of(holder: Any) -> str | None:
    """The signature that a client sends back: `extra_content.google.thought_signature`, or the name on Vertex."""
    extra = holder.get("extra_content") if isinstance(holder, dict) else None
    for vendor in ("google", "vertex"):
        members = extra.get(vendor) if isinstance(extra, dict) else None
        signature = members.get("thought_signature") if isinstance(members, dict) else None
        if isinstance(signature, str) and signature:
            return signature
    return None
