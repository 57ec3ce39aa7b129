"""Requests that are not read yet: on a busy event loop, a key's requests are read by turns.

Reading and refusing cost most of what an answer costs. If all arriving requests of a flooding key were read at once, each
iteration of the event loop would take as long as that, and a request of another key passes several iterations.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Literal, Protocol

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time

from llmproxy.core.errors import GatewayError
from llmproxy.dialects import find
from llmproxy.observe.refusals import Refusal

from ..context import ACCOUNTS, CURRENT, OBSERVER, REGISTRY, TURNS
from . import errors
from .headers import NAME
from .routes import ROUTES, Route

_KEY = re.compile(rb"\r\n(?:authorization: *bearer|x-api-key:|api-key:|x-goog-api-key:) *([^\r ]+)", re.IGNORECASE)
_OWN_ID = re.compile(rb"\r\nx-request-id:", re.IGNORECASE)
_SPECIAL = re.compile(rb"\r\n(?:connection: *(?!keep-alive(?:\r|$))|expect:|origin:|transfer-encoding:)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)(?:\r|$)", re.IGNORECASE)


class Connection(Protocol):
    """A client's connection whose next request is not read yet."""

    @property
    def address(self) -> str: ...
    def read(self) -> None:
        """Reads the request."""

    def skip(self, answer: bytes) -> None:
        """Answers the request without reading it."""


class Unread:
    """Decides which requests are not read at once. Only called while the event loop is busy."""

    def __init__(self, app: web.Application) -> None:
        self._app, self._accounts, self._current, self.turns = app, app[ACCOUNTS], app[CURRENT], app[TURNS]
        self._routes = _by_line(app[ROUTES].values())

    def hold(self, connection: Connection, data: bytes) -> Held | None:
        """Holds a request back whose first bytes these are. None: it is read at once.

        That is so for all that calls no model, has no valid key in a header, or has an ID by which it may be cancelled.
        """
        if not self._accounts.keys.several:
            return None
        head, end, body = data.partition(b"\r\n\r\n")
        route = self._routes.get(head.partition(b"\r\n")[0]) if end else None
        owner = self._owner(head) if route is not None else None
        if route is None or owner is None:
            return None
        held = Held(self, connection, owner, route, _is_whole(head, len(body)))
        limits = self._current.gateway.config.server
        self.turns.hold(owner, held, limits.max_lag, limits.max_in_flight - limits.max_in_flight // 10)
        return held

    def left(self, connection: Connection, held: Held | None) -> None:
        """The connection is closed."""
        self.turns.verdicts.pop(connection, None)
        if held is not None:
            held.close()
            self.turns.leave(held.owner, held)

    def refusal(self, held: Held, address: str, error: GatewayError) -> bytes:
        """The answer of a request that is refused without being read. Empty if it has to be read."""
        server = self._current.gateway.config.server
        if not held.whole or "Connection" in error.headers or server.trusted_proxies or server.allowed_origins:
            return b""
        id, route = self._app[REGISTRY].fresh(), held.route
        response = errors.response(error, None, find(route.dialect), id)
        refused = Refusal(
            id, time.time(), address, route.method, route.path, response.status, error.code, held.owner, error.message
        )
        self._app[OBSERVER].refusals.add(refused)
        response.headers["X-Request-ID"] = id
        return _as_bytes(response)

    def _owner(self, head: bytes) -> str | None:
        shown = _KEY.findall(head)
        if len(shown) != 1 or _OWN_ID.search(head):
            return None
        key = self._accounts.keys.find(shown[0].decode("utf-8", "surrogateescape"))
        return key.name if key is not None else None


class Held:
    """A request that is not read yet. Its turn lets it be read; so does its refusal, if the answer depends on more of it."""

    __slots__ = ("_connection", "_done", "_unread", "owner", "route", "whole")

    def __init__(self, unread: Unread, connection: Connection, owner: str, route: Route, whole: bool) -> None:
        """whole: its body has arrived, and it can be refused without being read."""
        self._unread, self._connection = unread, connection
        self.owner, self.route, self.whole = owner, route, whole
        self._done = False

    def done(self) -> bool:
        return self._done

    def set_result(self, _: None) -> None:
        self._read(True)

    def set_exception(self, error: GatewayError) -> None:
        answer = self._unread.refusal(self, self._connection.address, error)
        if answer:
            self._done = True
            self._connection.skip(answer)
        else:
            self._read(error)

    def close(self) -> None:
        self._done = True

    def _read(self, verdict: GatewayError | Literal[True]) -> None:
        self._done = True
        self._unread.turns.verdicts[self._connection] = verdict
        self._connection.read()


def _by_line(routes: Iterable[Route]) -> dict[bytes, Route]:
    """The routes that count, by the first line of a request."""
    return {f"{one.method} {one.path} HTTP/1.1".encode(): one for one in routes if one.counts and "{" not in one.path}


def _is_whole(head: bytes, body: int) -> bool:
    """Whether a request with such a head needs no more than its refusal. body: the bytes that have arrived."""
    lengths = _LENGTH.findall(head)
    return len(lengths) == 1 and int(lengths[0]) == body and not _SPECIAL.search(head)


def _as_bytes(response: web.Response) -> bytes:
    body = response.body
    assert isinstance(body, bytes)
    headers = {**response.headers, "Content-Length": len(body), "Date": rfc822_formatted_time(), "Server": NAME}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {response.status} {response.reason}\r\n{lines}\r\n".encode() + body
