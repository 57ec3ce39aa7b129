"""Decompresses gzip and deflate bodies in small steps, with limits against decompression bombs."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from llmproxy.core.errors import Malformed, Truncated

STEP = 64 * 1024  # bytes returned at once
FREE = 1024 * 1024  # maximum size of a decompressed body in bytes
RATIO = 100  # maximum ratio above that size: streams of repeated events reach 30, a bomb 1,000

GZIP = zlib.MAX_WBITS | 16
CODINGS = {"gzip": GZIP, "x-gzip": GZIP, "deflate": zlib.MAX_WBITS}


class Inflated:
    """The decompressed pieces of `source`. Raises Malformed or Truncated if the compressed data is invalid or cut."""

    __slots__ = ("_given", "_source", "_tail", "_taken", "_wbits", "_zlib")

    def __init__(self, source: AsyncIterator[bytes], coding: str) -> None:
        self._source = source
        self._wbits = CODINGS[coding]
        # created at the first byte, which shows whether it is zlib's format or raw deflate
        self._zlib: zlib._Decompress | None = None
        self._tail = b""
        self._taken = 0
        self._given = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._zlib is not None and (plain := self._step(self._zlib)):
                return plain
            await self._more()

    async def _more(self) -> None:
        try:
            self._tail = await anext(self._source)
        except StopAsyncIteration:
            if self._zlib is not None and not self._zlib.eof:
                raise Truncated("The provider's compressed answer ended early.") from None
            raise
        self._taken += len(self._tail)
        if self._zlib is None:
            raw = self._wbits == zlib.MAX_WBITS and self._tail[0] & 0x0F != zlib.DEFLATED
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS if raw else self._wbits)

    def _step(self, decoder: zlib._Decompress) -> bytes:
        if decoder.eof and self._tail:
            raise Malformed("The provider sent more than its compressed answer.")
        try:
            plain = decoder.decompress(self._tail, STEP)
        except zlib.error as error:
            raise Malformed("The provider's compressed answer is broken.") from error
        self._tail = decoder.unconsumed_tail or decoder.unused_data
        self._given += len(plain)
        if self._given > FREE and self._given > RATIO * self._taken:
            raise Malformed("The provider's compressed answer grows beyond reason.")
        return plain
