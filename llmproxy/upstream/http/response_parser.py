"""Parses one HTTP/1 response from bytes, however they are cut; no I/O."""

from __future__ import annotations

from functools import lru_cache

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from llmproxy.core.errors import Dropped, Malformed, Truncated, UpstreamError

from .inflate import CODINGS

MAX_HEAD = 64 * 1024  # bytes of a head, and of anything else that is neither head nor body
MAX_INTERIM = 20  # 1xx responses before the real one
TRANSFER_CODINGS = frozenset({"identity", "chunked"})
# identity is asked for; some compress nevertheless, and some name a character set here, which changes nothing.
CONTENT_CODINGS = frozenset({"", "identity", "none", "utf-8", "utf8", "us-ascii", "8bit", "binary", *CODINGS})

Fields = list[tuple[bytes, bytes]]


class Answer:
    """What the provider has said so far. `pieces` is the body not yet taken, without its transfer coding.

    The methods `on_*` are called by the parser, which finds them by these names.
    """

    __slots__ = (
        "_bodiless", "_fields", "_idle", "_interim", "_parser", "_until_close",
        "begun", "complete", "headers", "keep_alive", "on_body", "pieces", "size", "status",
    )  # fmt: skip

    def __init__(self, *, bodiless: bool = False) -> None:
        """`bodiless`: the answer ends with its head whatever that says, as to HEAD and CONNECT."""
        self.status = 0
        self.size = 0  # bytes that came, the head included
        self.headers: dict[str, str] = {}  # lower-case names, repeated ones joined, without set-cookie
        self.begun = False  # the head is there
        self.complete = False
        self.keep_alive = False
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append
        self._bodiless = bodiless
        self._until_close = False
        self._fields: Fields = []
        self._idle = 0  # bytes since the last of the body; before it, all of them
        self._interim = 0
        self._parser: HttpResponseParser | None = HttpResponseParser(self)  # None when there is nothing more to parse

    def feed(self, data: bytes) -> None:
        """The next bytes from the socket. Raises Malformed, except for what comes after a complete answer."""
        if self._parser is None:
            self.keep_alive = False
            return
        had = len(self.pieces)
        size = len(data)
        self.size += size
        self._idle += size
        try:
            self._parser.feed_data(data)
            if len(self.pieces) > had:
                self._idle = 0
            self._check_progress()
        except (HttpParserError, HttpParserUpgrade, Malformed) as error:
            self.keep_alive = False
            if not self.complete:
                raise _malformed(error) from error
        if self.complete:
            self._parser = None  # it refers back to us: without it nothing waits for the garbage collector

    def lost(self, error: Exception | None) -> UpstreamError | None:
        """The connection has ended. None if this is how the answer ends; else what has been lost with it."""
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
        self._fields.append((name, value))  # trailers too, which nobody reads

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self._count_interim()
            return
        if self._idle > MAX_HEAD and _size(self._fields) > MAX_HEAD:
            raise Malformed("The provider sent too many header bytes.")
        self.headers = _fold(self._fields)
        self.keep_alive = self._parser.should_keep_alive()
        self._check_codings()
        self._until_close = self._ends_with_connection()
        self.begun = True
        self.complete = self._bodiless

    def on_message_complete(self) -> None:
        self._fields.clear()
        self.complete = self.begun

    def _check_codings(self) -> None:
        if not self._transfer_codings() <= TRANSFER_CODINGS:
            raise Malformed("The provider used a transfer coding that was not asked for.")
        if self.headers.get("content-encoding", "identity").lower() not in CONTENT_CODINGS:
            raise Malformed("The provider used a content coding that was not asked for.")

    def _ends_with_connection(self) -> bool:
        return "chunked" not in self._transfer_codings() and "content-length" not in self.headers

    def _transfer_codings(self) -> set[str]:
        """Servers behind two others may say `chunked` twice; the body is chunked once, as every client reads it."""
        return {one.strip().lower() for one in self.headers.get("transfer-encoding", "identity").split(",")}

    def _count_interim(self) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise Malformed("The provider sent interim responses without end.")

    def _check_progress(self) -> None:
        # The parser keeps an unfinished field whole, and skips chunk extensions for ever.
        if self._idle > MAX_HEAD and not self.complete:
            raise Malformed("The provider sent too many header bytes.")
        if self._bodiless and self.pieces:
            raise Malformed("The provider sent a body where there is none.")


def _malformed(error: Exception) -> Malformed:
    cause = error.__context__ if isinstance(error, HttpParserError) else error
    return cause if isinstance(cause, Malformed) else Malformed(f"The provider does not speak HTTP: {error}.")


def _size(fields: Fields) -> int:
    return sum(len(name) + len(value) + 4 for name, value in fields)


def _fold(fields: Fields) -> dict[str, str]:
    folded: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name, value = _name(raw_name), raw_value.decode("latin-1")
        folded[name] = f"{folded[name]}, {value}" if name in folded else value
    folded.pop("set-cookie", None)
    return folded


@lru_cache(1024)  # providers use the same few names again and again
def _name(raw: bytes) -> str:
    return raw.decode("latin-1").lower()
