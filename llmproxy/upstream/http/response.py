"""A response: status, headers, and a body in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator

from .connection import Connection
from .inflate import CODINGS, Inflated
from .response_parser import Answer


class Incoming:
    """Iterate over it once for the pieces of the body, or call `read`.

    The iteration raises Truncated, Malformed or Dropped if the body is cut or invalid; if it ends normally, the body is complete.
    """

    __slots__ = ("_answer", "_coded", "_connection", "headers", "reused", "status")

    def __init__(self, connection: Connection, answer: Answer) -> None:
        self._connection = connection
        self._answer = answer
        self.status: int = answer.status
        self.headers, answer.headers = answer.headers, {}
        self._coded = "content-encoding" in self.headers
        self.reused = connection.reused

    @property
    def received(self) -> int:
        """Received bytes of the answer, including status and headers."""
        return self._answer.size

    @property
    def over(self) -> bool:
        """Whether the whole body was received and read."""
        answer = self._answer
        return answer.complete and not answer.pieces and not self._coded

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.pieces()

    def pieces(self) -> AsyncIterator[bytes]:
        """The pieces of the body, without content coding."""
        pieces = _Pieces(self._connection, self._answer)
        if not self._coded:
            return pieces
        coding = self.headers["content-encoding"].lower()
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
