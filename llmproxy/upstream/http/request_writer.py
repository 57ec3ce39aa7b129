"""Renders HTTP requests; the head is cached for requests that look alike."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from llmproxy.core.chat import Body
from llmproxy.core.errors import BadRequest

from .proxy_route import Route, Target

Fields = tuple[tuple[str, str], ...]

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# Headers of connection and framing are set by this client; given ones with these names are left out.
OURS = frozenset(
    ("connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
DEFAULTS = {"user-agent": "llmproxy", "accept": "*/*"}
WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})  # without a body no length is sent


@dataclass(frozen=True, slots=True)
class Head:
    """Everything of a request except its body and the length of it."""

    route: Route
    method: str
    start: bytes = field(repr=False)

    def request(self, body: Body) -> Request:
        pieces = (body,) if isinstance(body, bytes) else body
        size = sum(map(len, pieces))
        silent = size == 0 and self.method in WITHOUT_BODY
        end = b"\r\n" if silent else b"content-length: %d\r\n\r\n" % size
        return Request(self.start + end, pieces, size, self.method == "HEAD")


@dataclass(slots=True)
class Request:
    """bodiless: the answer has no body, whatever its headers say."""

    head: bytes = field(repr=False)
    pieces: tuple[bytes | memoryview, ...] = field(default=(), repr=False)
    size: int = 0  # bytes of the body
    bodiless: bool = False


def render_head(method: str, target: Target, fields: Fields) -> Head:
    """Raises BadRequest for what HTTP does not allow, such as line breaks in a header."""
    if TOKEN.fullmatch(method) is None:
        raise BadRequest("The request's method is not valid.")
    given = {name.lower(): value for name, value in fields if name.lower() not in OURS}
    sent = {"host": target.host, **DEFAULTS, **given, **target.fields, "accept-encoding": "identity"}
    lines = "".join(_line(name, value) for name, value in sent.items())
    start = f"{method} {target.path} HTTP/1.1\r\n{lines}"
    return Head(target.route, method, start.encode("latin-1"))


def _line(name: str, value: str) -> str:
    # Names only in the messages: values may be secrets.
    if TOKEN.fullmatch(name) is None:
        raise BadRequest("The name of a header for the provider is not valid.")
    if FORBIDDEN.search(value) is not None or not _latin(value):
        raise BadRequest(f"The header {name!r} for the provider holds characters that no header may hold.")
    return f"{name}: {value.strip()}\r\n"


def _latin(value: str) -> bool:
    return value.isascii() or max(value) <= "\xff"
