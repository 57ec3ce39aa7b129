"""The other workers: asked about requests that are not ours, over Unix sockets that only this user can open."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from llmproxy.config import Key
from llmproxy.core.chat import Json

from ..context import CALLER, PEERS
from ..process.workers import Place

TOKEN = "X-LLMProxy-Peer"
_NAME, _ADMIN = "X-LLMProxy-Peer-Caller", "X-LLMProxy-Peer-Admin"
_PASSED = ("Last-Event-ID", "Content-Type", "Accept")
_SHOWN = ("Content-Type", "Cache-Control", "X-Accel-Buffering", "X-Request-ID")


class Peers:
    """What a worker knows of the others: where they listen, and the word by which they know each other."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.number = place.number

    def caller(self, request: web.Request) -> Key | None:
        """On whose behalf another worker asks; None if this is no other worker."""
        if request.headers.get(TOKEN) != self._place.token or not _is_local(request):
            return None
        return Key(request.headers.get(_NAME, ""), "", admin=request.headers.get(_ADMIN) == "1")

    async def forward(self, request: web.Request) -> web.StreamResponse | None:
        """The answer of whichever worker knows what is asked about; None if none does."""
        for address in self._place.others():
            try:
                async with self._ask(address, request, await request.read()) as found:
                    if found.status != 404:
                        return await _relayed(request, found)
            except (aiohttp.ClientError, FileNotFoundError):
                continue  # that worker is just being replaced
        return None

    async def gather(self, request: web.Request) -> list[Json]:
        """What every other worker answers to the same request."""
        body = await request.read()
        told = await asyncio.gather(*(self._read(address, request, body) for address in self._place.others()))
        return [one for one in told if one is not None]

    async def _read(self, address: Path, request: web.Request, body: bytes) -> Json | None:
        try:
            async with self._ask(address, request, body) as found:
                return orjson.loads(await found.read()) if found.status == 200 else None
        except (aiohttp.ClientError, FileNotFoundError):
            return None

    def _ask(self, address: Path, request: web.Request, body: bytes) -> _Asking:
        key: Key = request[CALLER]
        passed = {name: request.headers[name] for name in _PASSED if name in request.headers}
        headers = {
            **passed,
            TOKEN: self._place.token,
            _NAME: key.name,
            _ADMIN: "1" if key.admin else "0",
            "Host": "localhost",
        }
        return _Asking(str(address), request.method, request.path_qs, headers, body)


async def others(request: web.Request) -> list[Json]:
    """What the other workers say, unless it is one of them who asks; nothing where there are none."""
    peers = request.app[PEERS]
    return [] if peers is None or TOKEN in request.headers else await peers.gather(request)


class _Asking(AbstractAsyncContextManager[aiohttp.ClientResponse]):
    """One call to one worker."""

    def __init__(self, address: str, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self._address = address
        self._call: dict[str, Any] = {
            "method": method,
            "url": f"http://localhost{path}",
            "headers": headers,
            "data": body or None,
        }

    async def __aenter__(self) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(total=None, connect=2)
        self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(self._address), timeout=timeout)
        try:
            return await self._session.request(**self._call)
        except BaseException:
            await self._session.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()


async def _relayed(request: web.Request, found: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = {name: found.headers[name] for name in _SHOWN if name in found.headers}
    response = web.StreamResponse(status=found.status, headers=headers)
    await response.prepare(request)
    async for piece in found.content.iter_any():
        await response.write(piece)
    return response


def _is_local(request: web.Request) -> bool:
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return isinstance(name, (str, bytes))
