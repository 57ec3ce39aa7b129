"""Parses one HTTP/1 response from bytes, however they are cut; no I/O."""

from __future__ import annotations

from functools import lru_cache

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from llmproxy.core.errors import Dropped, Malformed, Truncated, UpstreamError

from .inflate import CODINGS

MAX_HEAD = 64 * 1024  # maximum bytes of status and headers, and of anything else that is not the body
MAX_INTERIM = 20  # 1xx responses before the final one
TRANSFER_CODINGS = frozenset({"identity", "chunked"})
# The request asks for identity. Some servers compress anyway; some send a character set here, which has no effect.
CONTENT_CODINGS = frozenset({"", "identity", "none", "utf-8", "utf8", "us-ascii", "8bit", "binary", *CODINGS})

Fields = list[tuple[bytes, bytes]]


class Answer:
    """What the provider has sent so far. pieces: the part of the body that was not read yet, without transfer coding.

    The parser calls the `on_*` methods by these names.
    """

    __slots__ = (
        "_bodiless", "_fields", "_idle", "_interim", "_parser", "_until_close",
        "begun", "complete", "headers", "keep_alive", "on_body", "pieces", "size", "status",
    )  # fmt: skip

    def __init__(self, *, bodiless: bool = False) -> None:
        """bodiless: the answer has no body whatever its headers say, as for HEAD and CONNECT."""
        self.status = 0
        self.size = 0  # received bytes, including status and headers
        self.headers: dict[str, str] = {}  # lower-case names, repeated ones joined, without set-cookie
        self.begun = False  # status and headers are complete
        self.complete = False
        self.keep_alive = False
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append
        self._bodiless = bodiless
        self._until_close = False
        self._fields: Fields = []
        self._idle = 0  # bytes received after the last piece of the body
        self._interim = 0
        self._parser: HttpResponseParser | None = HttpResponseParser(self)  # None after the end

    def feed(self, data: bytes) -> None:
        """Parses the next bytes. Raises Malformed; bytes after a complete answer raise nothing."""
        if self._parser is None:
            self.keep_alive = False
            return
        size = len(data)
        self.size += size
        self._idle += size
        had = len(self.pieces)
        try:
            self._parser.feed_data(data)
            if len(self.pieces) > had:
                self._idle = 0
            if self._idle > MAX_HEAD or self._bodiless:
                self._check_progress()
        except (HttpParserError, HttpParserUpgrade, Malformed) as error:
            self.keep_alive = False
            if not self.complete:
                raise _malformed(error) from error
        if self.complete:
            self._parser = None  # breaks the reference cycle with the parser, so that memory is freed at once

    def lost(self, error: Exception | None) -> UpstreamError | None:
        """The connection was closed. Returns None if this is the proper end of the answer, otherwise the error."""
        self._parser = None
        if self.complete:
            return None
        if not self.begun:
            return Dropped("The provider closed the connection before it answered.")
        if error is not None or not self._until_close:
            return Truncated("The provider closed the connection in the middle of its answer.")
        self.complete = True
        return None

    def on_message_begin(self) -> None:
        if self.complete:
            raise Malformed("The provider sent more than one answer.")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.begun:  # afterwards they are trailers, which are ignored
            self._fields += ((name, value),)

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self._count_interim()
            return
        if self._idle > MAX_HEAD and _size(self._fields) > MAX_HEAD:
            raise Malformed("The provider sent too many header bytes.")
        self.headers = _combined(self._fields)
        self._fields = []
        self.keep_alive = self._parser.should_keep_alive()
        coded = "transfer-encoding" in self.headers and self._is_chunked(self.headers["transfer-encoding"])
        self._until_close = not coded and "content-length" not in self.headers
        if "content-encoding" in self.headers:
            self._check_content(self.headers["content-encoding"])
        self.begun = True
        self.complete = self._bodiless

    def on_message_complete(self) -> None:
        self._fields.clear()
        self.complete = self.begun

    def _is_chunked(self, value: str) -> bool:
        """Behind two proxies `chunked` may appear twice; the body is chunked only once."""
        codings = {one.strip().lower() for one in value.split(",")}
        if not codings <= TRANSFER_CODINGS:
            raise Malformed("The provider used a transfer coding that was not asked for.")
        return "chunked" in codings

    def _check_content(self, coding: str) -> None:
        if coding.lower() not in CONTENT_CODINGS:
            raise Malformed("The provider used a content coding that was not asked for.")

    def _count_interim(self) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise Malformed("The provider sent interim responses without end.")

    def _check_progress(self) -> None:
        # The parser has no limits of its own for an unfinished header or for chunk extensions.
        if self._idle > MAX_HEAD and not self.complete:
            raise Malformed("The provider sent too many header bytes.")
        if self._bodiless and self.pieces:
            raise Malformed("The provider sent a body where there is none.")


def _malformed(error: Exception) -> Malformed:
    cause = error.__context__ if isinstance(error, HttpParserError) else error
    return cause if isinstance(cause, Malformed) else Malformed(f"The provider does not speak HTTP: {error}.")


def _size(fields: Fields) -> int:
    return sum(len(name) + len(value) + 4 for name, value in fields)


def _combined(fields: Fields) -> dict[str, str]:
    folded: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name, value = _name(raw_name), raw_value.decode("latin-1")
        folded[name] = f"{folded[name]}, {value}" if name in folded else value
    folded.pop("set-cookie", None)
    return folded


@lru_cache(1024)  # cached, because the same few names are used
def _name(raw: bytes) -> str:
    return raw.decode("latin-1").lower()
