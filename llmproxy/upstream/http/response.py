"""A response: status, headers, and a body in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from .connection import Connection
from .inflate import CODINGS, Inflated
from .response_parser import Answer


class Incoming:
    """Iterate over it once for the body, as it comes from the socket; or `read` it.

    The iteration raises Truncated, Malformed or Dropped where the body is cut or broken: its end is the real end.
    """

    __slots__ = ("_answer", "_connection", "headers", "reused", "status")

    def __init__(self, connection: Connection, answer: Answer) -> None:
        self._connection = connection
        self._answer = answer
        self.status: int = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self.reused = connection.reused

    @property
    def received(self) -> int:
        """Bytes of the answer that have come so far, its head included."""
        return self._answer.size

    def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = _Pieces(self._connection, self._answer)
        coding = self.headers.get("content-encoding", "").lower()
        return Inflated(pieces, coding) if coding in CODINGS else pieces

    async def read(self, limit: int) -> bytes:
        """The body, cut at `limit` bytes."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self:
            pieces.append(piece)
            size += len(piece)
            if size >= limit:
                break
        return b"".join(pieces)[:limit]


class _Pieces:
    __slots__ = ("_answer", "_connection")

    def __init__(self, connection: Connection, answer: Answer) -> None:
        self._connection = connection
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        answer, connection = self._answer, self._connection
        while not answer.pieces:
            if answer.complete:
                raise StopAsyncIteration
            if connection.fault is not None:
                raise connection.fault
            await connection.changed()
        return connection.take(answer)
