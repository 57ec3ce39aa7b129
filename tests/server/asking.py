"""One request to a running gateway, with exactly the headers that a test gives."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson


class Said(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


def ask(
    url: str, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", body: object = None
) -> Said:
    """`body` is sent as JSON, or as it is if it is bytes. A Host among the headers replaces the real one."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    raw = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
    sent = {"Content-Type": "application/json"} if raw is not None else {}
    try:
        connection.request(method, path, raw, {**sent, **(headers or {})})
        answer = connection.getresponse()
        return Said(answer.status, answer.headers, answer.read())
    finally:
        connection.close()
