"""HTTP response with a complete JSON body: one write, without aiohttp's checks for payloads and compression."""

from __future__ import annotations

from aiohttp import hdrs, web


class WholeResponse(web.StreamResponse):
    """The answer to a request that was not streamed. aiohttp's Response can do more, and costs twice as much."""

    _send_headers_immediately = False  # as in aiohttp's Response: with the body

    def __init__(self, body: bytes, headers: dict[str, str]) -> None:
        headers[hdrs.CONTENT_LENGTH] = str(len(body))
        super().__init__(headers=headers)
        self._whole = body

    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(self._whole)
