"""Streams whose events have names: read, cut, and put through a watcher."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import ClientSession

from llmproxy.core.errors import UpstreamError
from llmproxy.testing import chunk, sse
from llmproxy.wire.pass_through import PassThrough

Json = dict[str, Any]


@dataclass
class Asked:
    """A gateway and a plain client to it."""

    url: str
    client: ClientSession

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of a whole answer."""
        data = None if body is None else orjson.dumps(body)
        sent = {"Content-Type": "application/json", **headers} if data else headers
        async with self.client.request(method, self.url + path, data=data, headers=sent) as response:
            raw = await response.read()
            return response.status, orjson.loads(raw) if raw else None

    async def streamed(self, path: str, body: Json) -> bytes:
        """The bytes of a whole stream."""
        sent = {"Content-Type": "application/json"}
        async with self.client.post(self.url + path, data=orjson.dumps(body), headers=sent) as response:
            assert response.status == 200, await response.read()
            return await response.read()


def chat_stream(*deltas: Json, finish: str, usage: Any) -> list[bytes]:
    """A chat provider's stream, one frame for each delta."""
    frames = [sse(chunk(delta), done=False) for delta in deltas]
    return [*frames, sse(chunk({}, finish=finish), chunk(None, usage=usage))]


def call(index: int, id: str, name: str, arguments: str, **more: Any) -> Json:
    """A piece of a tool call; without a name it is a later one."""
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    first = {"id": id, "type": "function"} if id else {}
    return {"tool_calls": [{"index": index, **first, "function": function, **more}]}


def parsed(stream: bytes) -> list[Json]:
    """The events in these bytes; each has its name twice, and one line of data."""
    found = []
    for block in stream.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            name, data = lines
            event = orjson.loads(data.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            found.append(event)
    return found


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def run(watched: PassThrough, pieces: Iterable[bytes]) -> tuple[bytes, UpstreamError | None]:
    """What the client gets until the end or the failure."""
    out: list[bytes] = []
    try:
        for piece in pieces:
            out.extend(watched.feed(piece))
        out.extend(watched.finish())
    except UpstreamError as error:
        return b"".join(out), error
    return b"".join(out), None
