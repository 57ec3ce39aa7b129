"""A stream as one JSON array, as Google sends it without `alt=sse`: each answer is an entry, and goes out as it comes."""

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
        """A JSON text, with what must stand before it."""
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + value

    def entries(self, events: Iterable[bytes]) -> Iterator[bytes]:
        """What whole server-sent events carry. Comments carry nothing."""
        for block in events:
            for event in Events().feed(block):
                if event.data.strip():
                    yield self.entry(event.data)

    def end(self) -> bytes:
        return b"]" if self._begun else b"[]"

    def failed(self, error: GatewayError) -> bytes:
        """The error as the last entry."""
        return self.entry(orjson.dumps(failure(error))) + b"]"
