"""A gateway that runs in the test's own loop, and a client to it that reads native streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from aiohttp import ClientResponse, ClientSession

from llmproxy.config import Alias, Key, Limits, Mode
from llmproxy.requests.registry import RequestRegistry
from llmproxy.store import Store
from llmproxy.testing import chunk, sse

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}

Event = tuple[int, str, dict[str, Any]]


def said(*pieces: str, usage: Any = USAGE) -> list[bytes]:
    """An answer's frames, one for each piece."""
    frames = [sse(chunk({"content": piece}), done=False) for piece in pieces]
    return [*frames, sse(chunk({}, finish="stop"), chunk(None, usage=usage))]


def parsed(stream: bytes) -> list[Event]:
    """The whole events in these bytes."""
    found = []
    for block in stream.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        found.append((int(fields["id"]), fields["event"], orjson.loads(fields["data"])))
    return found


def named(events: list[Event], name: str) -> list[dict[str, Any]]:
    return [data for _, event, data in events if event == name]


def tokens(events: list[Event]) -> str:
    return "".join(data["t"] for data in named(events, "token"))


@dataclass
class House:
    """A running gateway and a client to it. `key` goes with every request."""

    url: str
    client: ClientSession
    registry: RequestRegistry
    store: Store
    key: str = ""

    def _headers(self, more: dict[str, str] | None = None) -> dict[str, str]:
        return {**({"Authorization": f"Bearer {self.key}"} if self.key else {}), **(more or {})}

    def as_key(self, key: str) -> House:
        return replace(self, key=key)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON (or the raw bytes) of a whole answer."""
        async with self.open(method, path, body, **headers) as response:
            raw = await response.read()
            is_json = response.content_type == "application/json" and raw
            return response.status, orjson.loads(raw) if is_json else raw

    def open(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> AbstractAsyncContextManager[ClientResponse]:
        data = None if body is None else orjson.dumps(body)
        sent = self._headers({**({"Content-Type": "application/json"} if data else {}), **headers})
        return self.client.request(method, self.url + path, data=data, headers=sent)

    async def stream(self, path: str, body: Any = None, **headers: str) -> list[Event]:
        """All events of a stream."""
        async with self.open("GET" if body is None else "POST", path, body, **headers) as response:
            assert response.status == 200, await response.read()
            assert response.headers["X-Accel-Buffering"] == "no"
            return parsed(await response.read())

    async def leaving_after(self, name: str, path: str, body: Any = None, **headers: str) -> list[Event]:
        """The events until the first of that name, after which the client leaves."""
        seen = b""
        async with self.open("GET" if body is None else "POST", path, body, **headers) as response:
            assert response.status == 200, await response.read()
            async for data in response.content.iter_any():
                seen += data
                if any(event == name for _, event, _ in parsed(seen)):
                    break
            response.close()
        return parsed(seen)

    async def thread(self, **members: Any) -> str:
        status, thread = await self.call("POST", "/threads", members)
        assert status == 201
        return str(thread["id"])

    async def ask(self, thread: str, content: Any = "Hi?", **members: Any) -> list[Event]:
        asked = {"model": "m", **({"content": content} if content is not None else {}), **members}
        return await self.stream(f"/threads/{thread}/messages/stream", asked)

    async def messages(self, thread: str) -> list[dict[str, Any]]:
        return list((await self.call("GET", f"/threads/{thread}/messages"))[1]["messages"])

    async def ended(self, request_id: str) -> None:
        """Returns when that request has ended."""
        running = self.registry.get(request_id)
        assert running is not None
        await asyncio.wait({running.task})


@dataclass(frozen=True)
class Setting:
    """What a test wants to be different."""

    limits: Limits = field(default_factory=Limits)
    keys: tuple[Key, ...] = ()
    aliases: dict[str, Alias] = field(default_factory=dict)
    modes: dict[str, Mode] = field(default_factory=dict)
    default_model: str = ""
    on_disk: bool = True
    adapter: str = "compatible"


Open = Callable[..., AbstractAsyncContextManager[House]]
