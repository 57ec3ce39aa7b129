"""Encodes a stream as one JSON array, as Google sends it without `alt=sse`. Each answer is one entry, sent as soon as
it is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from llmproxy.core.errors import GatewayError
from llmproxy.wire.sse import Events

from .errors import failure


class Array:
    """Writes the entries of one stream."""

    def __init__(self) -> None:
        self._begun = False

    def entry(self, value: bytes) -> bytes:
        """The JSON text with the separator that goes before it."""
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + value

    def entries(self, events: Iterable[bytes]) -> Iterator[bytes]:
        """The data of complete server-sent events. Comments are skipped."""
        for block in events:
            for event in Events().feed(block):
                if event.data.strip():
                    yield self.entry(event.data)

    def end(self) -> bytes:
        return b"]" if self._begun else b"[]"

    def failed(self, error: GatewayError) -> bytes:
        """The error as the last entry."""
        return self.entry(orjson.dumps(failure(error))) + b"]"
